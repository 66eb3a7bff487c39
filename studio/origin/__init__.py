"""What a file can tell of its origin where its own metadata is gone or not believed: an invisible mark in the pixels of
pictures, signed Content Credentials; and reading both, and the plain metadata, from any file.

Both are off until a person switches them on; then copies that leave the program carry them, and the library's own files
stay as they were made.
"""
