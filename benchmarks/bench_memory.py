"""Peak memory against length: the same analysis of films of 1, 10 and 60 minutes.

python benchmarks/bench_memory.py [FILM] [--minutes 1,10] [--hour] [--every S]

The long films are the packets of a short one, end to end with shifted timestamps, so that nothing is encoded.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import measure

LOOP = """
import sys
import av
source, target, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
with av.open(source) as clip:
    stream = clip.streams.video[0]
    base = stream.time_base
    packets = [(bytes(p), p.pts, p.dts, p.duration or 0, p.is_keyframe) for p in clip.demux(stream) if p.dts is not None]
    first = min(p[1] for p in packets)
    length = max(p[1] + p[3] for p in packets) - first
    with av.open(target, "w", format="mp4") as film:
        out = film.add_stream_from_template(stream)
        written = 0
        limit = round(seconds / base)
        for turn in range(-(-limit // length)):
            for content, pts, dts, duration, key in packets:
                if pts - first + turn * length >= limit:
                    continue
                packet = av.Packet(content)
                packet.stream, packet.time_base, packet.is_keyframe = out, base, key
                packet.pts, packet.dts, packet.duration = pts + turn * length, dts + turn * length, duration
                film.mux(packet)
                written += 1
print(written)
"""
"""Runs in a process of its own: what this one holds would count for the measured ones, see measure.py."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Peak memory of an analysis against the length of the film.")
    parser.add_argument("film", nargs="?", type=Path, help="the clip that is repeated; default: one of 20 s, else the demo film")
    parser.add_argument("--minutes", default="1,10", help="lengths, with commas; default 1,10")
    parser.add_argument("--hour", action="store_true", help="also 60 minutes")
    parser.add_argument("--every", default="0.5", help="as of mien analyze; default 0.5; 0 takes every frame and takes long")
    parser.add_argument("--video", action="store_true", help="write the annotated film as well")
    options = parser.parse_args()
    minutes = [float(part) for part in options.minutes.split(",")] + [60.0] * options.hour
    rows = []
    first = 0
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        clip = measure.film(options.film, scratch)
        for length in minutes:
            film = scratch / "long.mp4"
            made = [sys.executable, "-c", LOOP, str(clip), str(film), str(60 * length)]
            frames = int(subprocess.run(made, capture_output=True, text=True, check=True).stdout)
            more = [] if options.video else ["--no-video"]
            cost = measure.run(measure.mien("analyze", film, "--every", options.every, *more, "--out", scratch / "long.mien"))
            first = first or cost.peak_bytes
            rows.append(
                [
                    f"{length:g} min",
                    f"{frames:,}",
                    f"{cost.peak_bytes / 1e6:.1f}",
                    f"{cost.peak_bytes / first - 1:+.1%}",
                    f"{cost.cpu_s:.1f}",
                    f"{cost.wall_s:.1f}",
                    f"{(scratch / 'long.mien' / 'report.html').stat().st_size / 1e6:.1f}",
                ]
            )
    often = "every frame" if float(options.every) == 0 else f"a look each {options.every} s"
    measure.table(
        f"Memory: {clip.name} repeated, {often}, {'with' if options.video else 'without'} the annotated film",
        ["length", "frames", "peak MB", "against the first", "CPU s", "wall s", "report MB"],
        rows,
        "Peers: py-feat users report 82 GB after a film of 3 minutes (py-feat issue 244); not measured here.",
    )


if __name__ == "__main__":
    main()
