"""`python tests/benchmarks/bench_dataset.py [COUNT]`: how long a folder of pictures takes to be cleaned, hashed, split.

5,000 pictures of 256 x 256 unless told, half JPEG and half PNG; of each hundred two are copies, two look-alikes, two
lie on their side, two are transparent and two are cut off. Drawing them is not counted.
"""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from studio.lab.dataset import Dataset
from studio.lab.duplicates import PictureLooks
from tests.lab.drawn import picture

SIDE = 256


def draw(folder: Path, count: int) -> None:
    """`count` files, 10 % of them with a fault."""
    for n in range(count):
        fault = {1: "copy", 2: "alike", 3: "sideways", 4: "alpha", 5: "cut"}.get(n % 50, "")
        suffix = ".png" if n % 2 or fault == "alpha" else ".jpg"
        path = folder / f"{n:05d}{suffix}"
        if fault == "copy":
            shutil.copyfile(folder / f"{n - 1:05d}.jpg", path.with_suffix(".jpg"))
            continue
        image = picture(n - 2 if fault == "alike" else n, SIDE, SIDE)
        exif = Image.Exif()
        if fault == "sideways":
            exif[0x0112] = 6
            image = image.transpose(Image.Transpose.ROTATE_90)
        if fault == "alpha":
            image.putalpha(Image.linear_gradient("L"))
        if fault == "alike":
            image = image.resize((SIDE - 16, SIDE - 16))
        image.save(path, exif=exif, quality=90, compress_level=1)
        if fault == "cut":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        source = Path(place, "source")
        source.mkdir()
        draw(source, count)
        dataset = Dataset.create(Path(place, "datasets"), "Bench")
        before, cpu = time.perf_counter(), time.process_time()
        report = dataset.add([source])
        seconds, cpu = time.perf_counter() - before, time.process_time() - cpu
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
        print(f"{count} pictures: {seconds:.1f} s, {cpu:.1f} s of processor, load {load:.1f}, {os.cpu_count()} cores")
        for sentence in report.sentences:
            print(" ", sentence)
        looks = [item.look for item in dataset.items if item.usable]
        before = time.perf_counter()
        table = PictureLooks(looks)
        found = sum(len(table.before(index)) > 0 for index in range(len(looks)))
        print(f"of that, the search for look-alikes: {time.perf_counter() - before:.2f} s, {found} found")
        before = time.perf_counter()
        dataset.set_caption(dataset.items[0].id, "a caption")
        print(f"one edit: {time.perf_counter() - before:.2f} s")
        before = time.perf_counter()
        dataset.undo()
        print(f"its undo: {time.perf_counter() - before:.2f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
