"""What the board asks of latent pictures and of shapes: each request is taken by the studio and makes what it says."""

from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image, ImageChops

from studio.errors import InvalidInput
from studio.settings import Settings
from studio.studio import Studio
from studio.types import Artifact, JobState, Request
from studio.ui import exploring, modelling

pytestmark = [pytest.mark.model, pytest.mark.timeout(280)]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with Studio(Settings(home=tmp_path_factory.mktemp("home"))) as studio:
        yield studio


def made(studio: Studio, request: Request) -> list[Artifact]:
    job = studio.submit(request, panel="design")
    done = studio.wait(job.id, 120)
    assert done.state is JobState.done, (done.error, done.hint)
    return list(studio.library.outputs(job.id))


def picture(artifact: Artifact) -> Image.Image:
    with Image.open(artifact.path) as opened:
        return opened.convert("RGBA")


def differ(one: Image.Image, other: Image.Image) -> int:
    return max(high for _, high in ImageChops.difference(one, other).getextrema())


@pytest.fixture(scope="module")
def knights(studio: Studio) -> list[Artifact]:
    return made(
        studio,
        Request(task="explore", model="starter-gan", params={"label": "knight", "num_images_per_prompt": 2}, seed=5),
    )


def test_a_cell_of_a_map_is_the_picture_that_it_leads_to(studio: Studio, knights: list[Artifact]) -> None:
    (map_,) = made(studio, exploring.REWORKS["map-at"](studio, knights[1].sha256, {"span": 1.5}))
    cell, columns = int(str(map_.meta["cell"])), int(str(map_.meta["columns"]))
    whole, middle = picture(map_), columns // 2
    assert (
        differ(
            whole.crop((middle * cell, middle * cell, (middle + 1) * cell, (middle + 1) * cell)), picture(knights[1])
        )
        <= 2
    )
    (one,) = made(studio, exploring.REWORKS["explore-cell"](studio, map_.sha256, {"column": 8, "row": 1}))
    assert differ(whole.crop((8 * cell, cell, 9 * cell, 2 * cell)), picture(one)) <= 2
    nearer = exploring.REWORKS["map-at"](studio, map_.sha256, {"centre_x": 0.5, "centre_y": -0.25})
    assert nearer.params["span"] == 0.75 and nearer.params["centre_x"] == 0.5 and nearer.parent == map_.sha256
    made(studio, nearer)
    with pytest.raises(InvalidInput, match="cell"):
        exploring.spot_of(studio, map_.sha256, {"column": 40, "row": 0})


def test_directions_variations_and_mixtures_go_on_from_where_a_take_lies(
    studio: Studio, knights: list[Artifact]
) -> None:
    (sheet,) = made(studio, exploring.REWORKS["directions-at"](studio, knights[0].sha256, {}))
    cell = int(str(sheet.meta["cell"]))
    stepped = exploring.REWORKS["explore-cell"](studio, sheet.sha256, {"column": 6, "row": 2})
    assert stepped.params["axes"] == [0.0, 0.0, 2.0]
    (one,) = made(studio, stepped)
    assert differ(picture(sheet).crop((6 * cell, 2 * cell, 7 * cell, 3 * cell)), picture(one)) <= 2
    near = made(studio, exploring.REWORKS["vary"](studio, one.sha256, {"strength": "subtle", "count": 2}))
    assert differ(picture(near[0]), picture(near[1])) > 20
    again = made(
        studio, exploring.spot_of(studio, near[1].sha256).request("explore", near[1].sha256, num_images_per_prompt=1)
    )
    assert differ(picture(again[0]), picture(near[1])) <= 2
    asked = {"to": near[1].sha256, "steps": 3}
    mixed = made(studio, exploring.REWORKS["mix-pictures"](studio, knights[0].sha256, asked))
    assert differ(picture(mixed[0]), picture(knights[0])) <= 2 and differ(picture(mixed[2]), picture(near[1])) <= 2
    with pytest.raises(InvalidInput, match="mixture"):
        exploring.spot_of(studio, mixed[1].sha256)


def test_walks_sprites_and_land_come_of_takes(studio: Studio, knights: list[Artifact]) -> None:
    stops = [one.sha256 for one in knights]
    walk = exploring.REWORKS["walk-latents"](studio, stops[0], {"stops": stops, "frames": 4, "loop": False, "scale": 1})
    assert walk.params["stops"] == ["5:knight", "6:knight"]
    assert made(studio, walk)[0].meta["frames"] == 5
    (near,) = made(studio, exploring.REWORKS["vary"](studio, stops[0], {"count": 1}))
    moved = exploring.REWORKS["walk-latents"](
        studio, stops[0], {"stops": [*stops, near.sha256], "frames": 2, "loop": False, "scale": 1}
    )
    assert str(moved.params["stops"][-1]).startswith("5:knight moves=")  # type: ignore[index]
    with Image.open(made(studio, moved)[0].path) as film:
        film.seek(film.n_frames - 1)  # type: ignore[attr-defined]
        last, ground = film.convert("RGB"), Image.new("RGB", film.size, (238, 236, 230))
    ground.paste(picture(near), mask=picture(near).getchannel("A"))
    assert np.abs(np.asarray(last, float) - np.asarray(ground, float)).mean() < 6, "it ends where the take lies"
    sheet = made(studio, exploring.REWORKS["sprites"](studio, stops[0], {"count": 4}))
    assert sheet[0].meta["sprites"] == 4
    land = exploring.REWORKS["terrain"](studio, stops[0], {"cells": 32})
    assert land.model == "starter-gan" and [a.media_type for a in made(studio, land)][-1] == "model/gltf-binary"
    with pytest.raises(InvalidInput, match="two stops"):
        exploring.REWORKS["walk-latents"](studio, stops[0], {"stops": stops[:1]})


def test_shapes_are_mixed_morphed_and_varied(studio: Studio, knights: list[Artifact]) -> None:
    quick = {"num_return_sequences": 2, "num_inference_steps": 4, "cells": 32, "size_mm": 60.0}
    bowls = made(studio, Request(task="text_to_shape", model="starter-shape", prompt="a bowl", params=quick, seed=3))
    picks = [bowl.sha256 for bowl in bowls]
    (mixed,) = made(studio, modelling.REWORKS["mix"](studio, picks[0], {"picks": picks, "weights": [0.3, 0.7]}))
    assert mixed.meta["weights"] == [0.3, 0.7] and max(mixed.meta["size_mm"]) == pytest.approx(60, abs=0.1)  # type: ignore[arg-type]
    series = made(studio, modelling.REWORKS["morph"](studio, picks[0], {"to": picks[1], "steps": 2}))
    assert [one.meta["amount"] for one in series] == [0.0, 1.0]
    near = made(studio, modelling.REWORKS["vary"](studio, mixed.sha256, {"strength": "strong", "count": 1}))
    assert near[0].meta["watertight"] and studio.library.job(near[0].job or "").request.params["strength"] == 0.6
    for asked in ({"picks": picks[:1]}, {"picks": picks, "weights": [0, 0]}):
        with pytest.raises(InvalidInput):
            modelling.REWORKS["mix"](studio, picks[0], asked)
    with pytest.raises(InvalidInput, match="no shape"):
        modelling.REWORKS["vary"](studio, knights[0].sha256, {})
