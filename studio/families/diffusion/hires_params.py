"""Settings of the second pass: a picture is made, enlarged, and made anew a little at the larger size."""

from studio.families.family import Param

HIRES = (
    Param(
        name="hires_scale",
        type=float,
        default=None,
        minimum=1.0,
        maximum=4.0,
        step=0.25,
        label="Times as large",
        help="1: no second pass. The picture is made at its size first, so that nothing in it is doubled.",
    ),
    Param(
        name="hires_strength",
        type=float,
        default=None,
        minimum=0.0,
        maximum=1.0,
        step=0.05,
        label="Change",
        help="How much of the enlarged picture is made anew; 0.4 unless said.",
    ),
    Param(
        name="hires_steps",
        type=int,
        default=None,
        minimum=0,
        maximum=150,
        label="Its steps",
        help="0: as many as the first pass. The share of them that the change asks for is done.",
    ),
)
