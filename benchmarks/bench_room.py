"""What one look at an audience costs, by the number of faces: decoding, finding and reading, following. One table.

    python benchmarks/bench_room.py

The pictures are made of portraits that packages carry, heads in rows before a grey ground. One thread; processor time,
so that what else runs on the machine counts little.
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

LOOKS = 25


def main() -> None:
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args()
    import cv2
    from PIL import Image

    from browser.films import crowd
    from media_files import encoded
    from mien.analyze import Analyzer
    from mien.media import decode_picture

    cv2.setNumThreads(1)
    analyzer = Analyzer()
    print(f"{'picture':>10} {'faces':>6} {'found':>6} {'face, px':>9} {'decode, ms':>11} {'read, ms':>9} {'follow, ms':>11}")
    for width, height in ((640, 360), (1280, 720), (1920, 1080)):
        for faces in (1, 6, 12, 30):
            data = encoded(Image.fromarray(crowd(faces, width, height)), "JPEG", quality=80)
            state = analyzer.begin()
            took: dict[str, list[float]] = {"decode": [], "read": [], "follow": []}
            for look in range(LOOKS):
                begun = time.process_time()
                rgb = decode_picture(data)
                decoded = time.process_time()
                found, emotions = analyzer.faces(rgb)
                read = time.process_time()
                state.update(found, look / 2, emotions)
                for stage, seconds in zip(took, (decoded - begun, read - decoded, time.process_time() - read), strict=True):
                    took[stage].append(1000 * seconds)
            wide = statistics.median((found.boxes[:, 2] - found.boxes[:, 0]).tolist()) if len(found) else 0
            decode, reading, follow = (statistics.median(ms) for ms in took.values())
            print(f"{width:>5}x{height:<4} {faces:>6} {len(found):>6} {wide:>9.0f} {decode:>11.1f} {reading:>9.1f} {follow:>11.2f}")


if __name__ == "__main__":
    main()
