"""Which word of a group - person, age, season ... - a caption says first; words of one meaning count as one.

The groups are those of a data set's report. It reads English captions and knows no picture.
"""

import re
from collections.abc import Mapping

# by group, the words that are counted, each with those that say the same in a caption
SAID: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "person": {
        "man": ("man", "men", "boy", "boys", "male", "males", "he", "his", "him", "gentleman", "guy", "father"),
        "woman": ("woman", "women", "girl", "girls", "female", "females", "she", "her", "lady", "ladies", "mother"),
    },
    "age": {
        "young": (
            "young",
            "baby",
            "babies",
            "toddler",
            "child",
            "children",
            "kid",
            "kids",
            "boy",
            "boys",
            "girl",
            "girls",
        ),
        "adult": ("adult", "adults", "man", "woman", "men", "women", "lady", "gentleman"),
        "old": ("old", "older", "elderly", "aged", "senior"),
    },
    "time": {
        "day": ("day", "daytime", "daylight", "noon", "morning"),
        "dawn": ("dawn", "sunrise"),
        "dusk": ("dusk", "sunset", "evening"),
        "night": ("night", "nighttime", "midnight"),
    },
    "season": {
        "spring": ("spring",),
        "summer": ("summer",),
        "autumn": ("autumn", "fall"),
        "winter": ("winter", "wintry"),
    },
    "place": {
        "indoors": ("indoors", "indoor", "inside", "room", "kitchen", "office"),
        "outdoors": ("outdoors", "outdoor", "outside", "field", "park"),
        "city": ("city", "town"),
        "street": ("street", "road", "sidewalk"),
        "beach": ("beach", "shore"),
        "forest": ("forest", "woods"),
        "garden": ("garden",),
        "mountains": ("mountains", "mountain"),
        "desert": ("desert",),
        "studio": ("studio",),
    },
    "style": {
        "photo": ("photo", "photograph", "photography"),
        "painting": ("painting",),
        "drawing": ("drawing", "sketch"),
        "watercolour": ("watercolour", "watercolor"),
        "cartoon": ("cartoon",),
        "render": ("render", "rendering"),
        "pixel": ("pixel",),
    },
}


def words_of(group: str) -> tuple[str, ...]:
    """The words of a group that are counted."""
    return tuple(SAID[group])


def first_said(caption: str, group: str) -> str:
    """The word of the group that the caption says first; "" where it says none."""
    counted = {said: word for word, same in SAID[group].items() for said in same}
    found = (counted[word] for word in re.findall(r"[a-z]+", caption.lower()) if word in counted)
    return next(found, "")
