"""The settings of a text: how it is asked for, how words are drawn, what it must keep to.

Names and defaults are llama.cpp's where it has them.
"""

from studio.families.family import Param

AUDIENCES = ("", "everyone", "children")
PARTS = ("", "whole", "beginning", "middle", "end")
MODES = ("write", "brief", "chat")

AMOUNT = (
    Param(
        name="num_return_sequences",
        type=int,
        default=4,
        minimum=1,
        maximum=16,
        label="Drafts",
        help="Drafts of the same beginning; draft k has the seed + k.",
    ),
    Param(
        name="max_new_tokens",
        type=int,
        default=200,
        minimum=1,
        maximum=32_768,
        label="Longest",
        help="Tokens; a token is three or four letters.",
    ),
    Param(
        name="seconds",
        type=float,
        default=0.0,
        minimum=0.0,
        maximum=86_400.0,
        step=1.0,
        label="Seconds",
        help="Ends all drafts after this time; 0 lets them take their time.",
    ),
    Param(
        name="stop",
        type=str,
        default="",
        label="Stop at",
        help="A draft ends before any of these, one a line; \\n too.",
    ),
)

WORDING = (
    Param(
        name="mode", type=str, default="write", choices=MODES, help="Go on from the text, follow a brief, or answer."
    ),
    Param(name="genre", type=str, default="", help="story, poem, play, essay, letter, code ... Empty: from the words."),
    Param(name="audience", type=str, default="", choices=AUDIENCES, label="For", help="Whom a brief is for."),
    Param(name="part", type=str, default="", choices=PARTS, label="Part", help="Whole, or a part of a longer text."),
    Param(name="keywords", type=str, default="", help="Separated by commas. Empty: from the words of a brief."),
    Param(name="title", type=str, default=""),
    Param(name="tone", type=str, default="", help="For models that follow words: warm, dry, solemn ..."),
    Param(name="length", type=int, default=0, minimum=0, maximum=100_000, help="Words asked for; 0 leaves it open."),
    Param(name="language", type=str, default=""),
    Param(name="system", type=str, default="", help="What a chat model is told before all turns."),
    Param(name="messages", type=list, default=[], help="Earlier turns of a chat: role and content."),
    Param(name="beginning", type=str, default="", help="The same as words: a draft that is gone on from."),
    Param(name="suffix", type=str, default="", help="What stands behind the new words; the model does not see it."),
    Param(
        name="own_characters",
        type=int,
        default=-1,
        minimum=-1,
        help="Characters of what is given that the person wrote, before those of a draft; -1: all.",
    ),
    Param(name="beginning_tokens", type=list, default=[], help="Tokens of the text that are decided already."),
)

DRAWING = (
    Param(
        name="temperature",
        type=float,
        default=0.8,
        minimum=0.0,
        maximum=5.0,
        step=0.05,
        label="Temperature",
        help="More dares unlikelier words; 0 always takes the likeliest.",
    ),
    Param(
        name="top_k",
        type=int,
        default=40,
        minimum=0,
        maximum=1_000_000,
        label="Top k",
        help="Only the k likeliest; 0 all (Fan et al., 2018).",
    ),
    Param(
        name="top_p",
        type=float,
        default=0.95,
        minimum=0.01,
        maximum=1.0,
        step=0.01,
        label="Top p",
        help="Only the likeliest that together have this probability (Holtzman et al., 2020).",
    ),
    Param(
        name="min_p",
        type=float,
        default=0.05,
        minimum=0.0,
        maximum=1.0,
        step=0.01,
        label="Min p",
        help="Only those at least this share as likely as the likeliest (Nguyen et al., 2024).",
    ),
    Param(
        name="typical_p",
        type=float,
        default=1.0,
        minimum=0.01,
        maximum=1.0,
        step=0.01,
        label="Typical p",
        help="Only those that surprise as much as expected, with this probability together (Meister et al., 2023).",
    ),
    Param(
        name="top_n_sigma",
        type=float,
        default=-1.0,
        minimum=-1.0,
        maximum=100.0,
        step=0.1,
        label="Top n sigma",
        help="Only scores within n standard deviations of the best; below 0 off (Tang et al., 2024).",
    ),
    Param(
        name="xtc_probability",
        type=float,
        default=0.0,
        minimum=0.0,
        maximum=1.0,
        step=0.05,
        label="XTC probability",
        help="How often all likely words but the least likely of them are struck out.",
    ),
    Param(
        name="xtc_threshold",
        type=float,
        default=0.1,
        minimum=0.0,
        maximum=1.0,
        step=0.01,
        label="XTC threshold",
        help="From this probability on a word counts as likely; above 0.5 XTC does nothing.",
    ),
    Param(
        name="mirostat",
        type=int,
        default=0,
        minimum=0,
        maximum=2,
        label="Mirostat",
        help="1 or 2: keeps the surprise of the words steady, in place of the limits above (Basu et al., 2021).",
    ),
    Param(
        name="mirostat_tau",
        type=float,
        default=5.0,
        minimum=0.0,
        maximum=30.0,
        step=0.1,
        label="Mirostat tau",
        help="The surprise aimed at, in bits.",
    ),
    Param(
        name="mirostat_eta",
        type=float,
        default=0.1,
        minimum=0.0,
        maximum=1.0,
        step=0.01,
        label="Mirostat eta",
        help="How fast mirostat corrects itself.",
    ),
)

REPEATING = (
    Param(
        name="repetition_penalty",
        type=float,
        default=1.0,
        minimum=0.5,
        maximum=3.0,
        step=0.05,
        label="Repetition penalty",
        help="Above 1 what has been said becomes less likely (Keskar et al., 2019).",
    ),
    Param(
        name="presence_penalty",
        type=float,
        default=0.0,
        minimum=-2.0,
        maximum=2.0,
        step=0.1,
        label="Presence penalty",
        help="Taken once from the score of what has been said.",
    ),
    Param(
        name="frequency_penalty",
        type=float,
        default=0.0,
        minimum=-2.0,
        maximum=2.0,
        step=0.1,
        label="Frequency penalty",
        help="Taken from the score as often as it has been said.",
    ),
    Param(
        name="repeat_last_n",
        type=int,
        default=64,
        minimum=-1,
        maximum=32_768,
        label="Penalties look back",
        help="Tokens that the three penalties look at; -1 all.",
    ),
    Param(
        name="dry_multiplier",
        type=float,
        default=0.0,
        minimum=0.0,
        maximum=10.0,
        step=0.05,
        label="DRY multiplier",
        help="Weighs against going on as an earlier passage did; 0 off, 0.8 is usual.",
    ),
    Param(
        name="dry_base",
        type=float,
        default=1.75,
        minimum=1.0,
        maximum=4.0,
        step=0.05,
        label="DRY base",
        help="How fast that weight grows with the passage.",
    ),
    Param(
        name="dry_allowed_length",
        type=int,
        default=2,
        minimum=1,
        maximum=100,
        label="DRY allowed length",
        help="Tokens that may be repeated freely.",
    ),
)

KEEPING = (
    Param(
        name="keyword_bias",
        type=float,
        default=0.0,
        minimum=0.0,
        maximum=100.0,
        step=0.5,
        label="Keyword weight",
        help="How much the words of a brief lean towards its keywords.",
    ),
    Param(name="json_schema", type=str, default="", help="The text is JSON of this schema."),
    Param(name="regex", type=str, default="", help="The whole new text matches this regular expression."),
    Param(name="word_filter", type=list, default=[], help="Words that must not appear."),
)

WEIGHTS = (
    Param(
        name="quantization",
        type=str,
        default="none",
        choices=("none", "int8"),
        label="Weights",
        help="int8: large layers in 8 bits; `bench text` says whether that is faster on this machine.",
    ),
)

TEXT = (*AMOUNT, *WORDING, *DRAWING, *REPEATING, *KEEPING, *WEIGHTS)

ODDS = (
    *WORDING,
    Param(
        name="alternatives",
        type=int,
        default=8,
        minimum=0,
        maximum=100,
        label="Alternatives",
        help="Likeliest tokens told for each place.",
    ),
)
