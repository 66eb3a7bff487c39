"""What files say of themselves so that anybody can tell that a trained model made them. Standard library only.

The term is IPTC's DigitalSourceType (https://cv.iptc.org/newscodes/digitalsourcetype/), which pictures carry as XMP;
what holds no XMP says it in words, in a field that its kind has for such things.
"""

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
SENTENCE = f"Made with AI: {SOURCE_TYPE}"
