"""What designers hand on: meshes, films, checks. Light: for the page's process and for the worker; knows no model."""
