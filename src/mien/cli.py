"""The command `mien`: analyse, watch, list. The laboratory's commands stand in `mien.training.commands`; only these two print."""

import argparse
import contextlib
import dataclasses
import gc
import importlib.util
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien import __version__
from mien.errors import DataError, MediaError, MienError, ModelError
from mien.json_text import parsed
from mien.places import place
from mien.terminal import Help, amount, bar, command, count

if TYPE_CHECKING:
    from mien.cluster import AnalysisOptions, Outcome
    from mien.shard import Shard
    from mien.types import FrameResult

CAVEAT = "Expressions are what faces appear to show, not what people feel."
EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; gives back its exit code: 0 done, 1 media, model or data at fault, 2 wrong usage, 130 interrupted."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if "run" not in options:
        parser.print_help()
        return EXIT_USAGE
    if hasattr(signal, "SIGTERM"):
        # A polite kill cleans up like Ctrl-C: temporary folders go, nothing half-written stays.
        with contextlib.suppress(ValueError):  # not in the main thread
            signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if options.run is not serve:  # which listens first, and imports what is slow to import afterwards
            import cv2

            # Two threads on shared cores cost more than they give; files run side by side with --jobs instead.
            cv2.setNumThreads(1)
        return int(options.run(options))
    except MienError as error:
        if options.debug:
            raise
        _complain(str(error))
        return EXIT_FAILED
    except ValueError as error:
        if options.debug:
            raise
        _complain(str(error))
        return EXIT_USAGE
    except KeyboardInterrupt:
        if options.debug:
            raise
        _complain("interrupted; what was finished before is kept, nothing else was written")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe has gone (mien … | head): no fault of ours. Python would complain when it flushes at exit.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return EXIT_FAILED
    except OSError as error:
        if options.debug:
            raise
        where = f"{error.filename}: " if error.filename else ""
        _complain(f"{where}{error.strerror or error}")
        return EXIT_FAILED
    except Exception as error:
        if options.debug:
            raise
        _complain(f"failed unexpectedly ({type(error).__name__}: {error}); --debug shows where")
        return EXIT_FAILED


def _complain(text: str) -> None:
    shown = "".join(letter if letter.isprintable() else "�" for letter in " ".join(text.split()))
    print(f"mien: {shown}", file=sys.stderr)


# --- the words -------------------------------------------------------------------------------------------------------------------


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; docs/cli.md is made from it."""
    parser = argparse.ArgumentParser(
        prog="mien",
        description="Reads faces in pictures, videos and live cameras: which expression each appears to show, and how sure.",
        epilog=CAVEAT,
        formatter_class=Help,
    )
    parser.add_argument("--version", action="version", version=f"mien {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    from mien.training import commands as laboratory

    for add in (_analyze, _gather, _live, _serve, _study, _db, _demo, *laboratory.COMMANDS, _models, _doctor):
        add(commands)
    return parser


def _looking_options(parser: Any, every: float) -> None:
    often = "0, the default, takes every frame" if not every else f"0 takes every frame; default {every:g}"
    parser.add_argument("--every", type=amount, default=every, metavar="S", help=f"seconds between looks; {often}")
    parser.add_argument("--model", default="default", metavar="NAME|DIR", help="expression model (see: mien models list)")
    parser.add_argument("--detector", choices=("yunet", "haar"), default="yunet", help="face detector; default yunet")
    parser.add_argument(
        "--device",
        choices=("cpu", "cuda", "openvino", "auto"),
        default="cpu",
        help="what networks run on; auto takes the first of cuda, openvino and cpu that works here; default cpu",
    )
    parser.add_argument("--threshold", type=float, metavar="P", help="leave out faces that yunet is less sure of; default 0.6")
    parser.add_argument("--min-face", type=amount, metavar="PX", help="leave out smaller faces; default 8 pixels, haar 30")
    parser.add_argument(
        "--find-face",
        type=amount,
        metavar="PX",
        help="width of the smallest face that yunet is to find for sure, in any frame; default 40 pixels;\n"
        "less takes longer in large frames, and smaller faces that are seen are kept all the same",
    )
    parser.add_argument(
        "--max-side",
        type=count,
        metavar="PX",
        help="bound the cost: yunet searches once, in a picture brought down to this longer side, whatever\n"
        "--find-face asks; summary.json says which faces that leaves out of sight (smallest_face_px)",
    )
    parser.add_argument("--labels", metavar="SET", help="label set of the model: ferplus (eight, the default) or fer2013 (seven)")
    parser.add_argument(
        "--prior",
        metavar="NAME",
        help="how decisions lean: natural (as frequent as in the training data), balanced (each expression\n"
        "as likely: finds more of the rare ones, is wrong more often) or fused (both heads of the model\n"
        "decide together); default as the model was tuned",
    )
    parser.add_argument(
        "--min-reliability",
        type=amount,
        default=0.5,
        metavar="P",
        help="what is less likely to be what most people would say counts in no share, episode or curve; 0 takes all\n"
        "but faces too small, blurred, dark, flat or covered; default 0.5",
    )
    parser.add_argument(
        "--rotate",
        type=int,
        choices=(0, 90, 180, 270),
        metavar="DEG",
        help="turn by so many degrees clockwise, beyond what the file says: 0, 90, 180 or 270; default: as its faces stand\n"
        "upright, which is said where it is another way than the file's; cameras and live addresses are left as they are",
    )
    parser.add_argument(
        "--max-megapixels",
        type=amount,
        metavar="MP",
        help="refuse larger pictures, and films of larger frames; they take up to 30 bytes of memory a pixel; default 50",
    )
    parser.add_argument("--no-pictures", action="store_true", help="keep no frame and no stills in the report: scores only")
    parser.add_argument("--flip", action="store_true", help="average each face with its mirror image: a little better, slower")
    parser.add_argument(
        "--smoothing", type=amount, metavar="S", help="time constant of the smoothed scores; faces.csv stays raw; default 0.2"
    )
    parser.add_argument(
        "--baseline", type=amount, default=0.0, metavar="S", help="add columns of change against each face's first S seconds"
    )


def _analysis_options(options: argparse.Namespace, *, annotated: bool) -> "AnalysisOptions":
    from mien.analyze import MAX_PIXELS, SMOOTHING_S
    from mien.cluster import AnalysisOptions

    return AnalysisOptions(
        every=options.every or None,
        model=options.model,
        detector=options.detector,
        device=options.device,
        fast=getattr(options, "fast", False),
        smoothing_s=SMOOTHING_S if options.smoothing is None else options.smoothing,
        baseline_s=options.baseline,
        min_reliability=options.min_reliability,
        labels=options.labels,
        prior=options.prior,
        flip=options.flip,
        threshold=options.threshold,
        min_face_px=options.min_face,
        find_face_px=options.find_face,
        max_side_px=options.max_side,
        annotated=annotated and not options.no_pictures,
        pictures=not options.no_pictures,
        rotate=options.rotate,
        max_pixels=MAX_PIXELS if options.max_megapixels is None else round(options.max_megapixels * 1e6),
    )


# --- mien analyze ----------------------------------------------------------------------------------------------------------------


def _analyze(commands: Any) -> None:
    parser = command(
        commands,
        "analyze",
        analyze,
        "analyse pictures and films into tables, plots, an annotated film and a report",
        "Results of talk.mp4 go to the folder talk.mien here, or to talk-2.mien where that holds those of another file. With\n"
        "--out DIR, those of a single file go to DIR itself (if it is new, empty or an older result of that file), and those of\n"
        "several to DIR/NAME.mien with an index in DIR/files.csv and all faces in DIR/faces.csv. A file that fails is told on\n"
        "stderr, the others are done all the same, and the exit code is 1. What a folder holds besides pictures and films has\n"
        "a row in the index that says why it was skipped.\n\n"
        "What becomes of several files is kept in DIR/.manifest: after an interruption of any kind the same command goes on,\n"
        "and any number of them, on any number of machines that share DIR, may run at a time. docs/scale.md has more.",
    )
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="pictures, films, folders of them, lists (files .txt with a path in each line); - for what is piped in",
    )
    _looking_options(parser, 0.0)
    parser.add_argument("--out", type=place, metavar="DIR", help="where results go; also s3://… and gs://…, with 'mien[cloud]'")
    parser.add_argument("--no-video", action="store_true", help="leave out the annotated film or picture: much faster")
    parser.add_argument(
        "--fast",
        action="store_true",
        help="search faces in few frames of a film, and take them to move evenly in between: up to twice as\n"
        "fast, and not quite the same; docs/scale.md says by how much",
    )
    parser.add_argument("--json", action="store_true", help="print each file's summary as a line of JSON")
    parser.add_argument(
        "--jobs",
        type=count,
        default=1,
        metavar="N",
        help="files at a time, in processes; default 1; of a single film of a minute or more as many parts of it,\nwith --no-video",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="leave out a single file whose results are there, made of the same file in the same way; of\n"
        "several files these are left out in any case",
    )
    parser.add_argument("--again", action="store_true", help="of several files, analyse those anew whose results are there")
    parser.add_argument(
        "--time-limit",
        type=amount,
        metavar="S",
        help="give a file up that takes longer than S seconds, and go on with the others; it is a failed one then",
    )
    parser.add_argument("--retry-failed", action="store_true", help="of several files, try those again that failed before")
    parser.add_argument(
        "--shard",
        metavar="K/N",
        help="of the files, only the K-th of N parts; auto takes K and N from a task of an array of SLURM or\n"
        "AWS Batch; afterwards: mien gather DIR",
    )
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="hand several files to the workers of a Dask scheduler, tcp://HOST:8786, or to --jobs workers of\n"
        "its own: local; all see the same files and DIR; needs: pip install 'mien[cluster]'",
    )


def analyze(options: argparse.Namespace) -> int:
    from mien.cluster import analyze_files, check_index, expand, is_of_another, is_result, result_folders, write_index
    from mien.manifest import Manifest
    from mien.media import shown_name
    from mien.shard import Shard

    settings = replace(_analysis_options(options, annotated=not options.no_video), limit_s=options.time_limit or None)
    shard = None if options.shard is None else Shard.parse(options.shard, os.environ)
    if shard is not None and options.out is None:
        raise ValueError("--shard wants --out, the folder that all shards share")
    if options.again and options.resume:
        raise ValueError("--again analyses anew what --resume leaves out; leave out one of them")
    skipped: list[Outcome] = []
    paths = ["/dev/stdin" if path == "-" else path for path in options.paths]
    sources = expand(paths, skipped)
    alone = len(sources) == 1 and shard is None and Path(paths[0]) == Path(sources[0])
    out: Path = options.out or Path()
    if alone and options.out is not None:
        if is_of_another(out, sources[0]):
            raise MediaError(f"{out}: holds the results of another file, which would be lost; give another folder with --out")
        free = not out.exists() or (out.is_dir() and (is_result(out) or not any(out.iterdir())))
        folders = [out] if free else result_folders(sources, out)
    else:
        folders = result_folders(sources, options.out)
    index = None if alone or shard is not None else out / "files.csv"
    manifest = None if alone else Manifest(out)
    if index is not None:
        check_index(index)
    if manifest is not None:
        files = [(shown_name(source), folder.name) for source, folder in zip(sources, folders, strict=True)]
        manifest.keep_list(files, [(o.source, o.error or "") for o in skipped])
    if shard is not None:
        mine = shard.takes(range(len(sources)))
        sources, folders = [sources[i] for i in mine], [folders[i] for i in mine]
    if alone and settings.fast and options.jobs > 1:
        _complain(f"--fast reads a film in one process; of --jobs {options.jobs} the others have nothing to do")
    engine = None
    if options.cluster is not None:
        from mien.scheduler import Scheduler

        engine = Scheduler(options.cluster, options.jobs)
    outcomes: list[Outcome] = []
    try:
        with Bars(sources, files=len(sources) > 1, jobs=options.jobs, shard=shard) as bars:
            found = analyze_files(
                sources,
                folders,
                settings,
                jobs=options.jobs,
                resume=options.resume or not (alone or options.again),
                progress=bars.progress,
                debug=options.debug,
                manifest=manifest,
                retry_failed=options.retry_failed,
                engine=engine,
            )
            for outcome in found:
                bars.done(outcome)
                outcomes.append(outcome)
                _tell(outcome, options.json)
    finally:  # also after Ctrl-C: what was done is listed
        if index is not None and any(o.folder for o in outcomes):
            write_index([*outcomes, *skipped], index)
    failed = [o for o in outcomes if o.error]
    if not alone and not options.json:
        _tell_all(outcomes, skipped, out, shard)
    return EXIT_FAILED if failed else 0


def _tell_all(outcomes: Sequence["Outcome"], skipped: Sequence["Outcome"], out: Path, shard: "Shard | None") -> None:
    left = f"; {len(skipped)} skipped" if skipped else ""
    elsewhere = sum(o.unfinished is not None for o in outcomes)
    others = f"; {elsewhere} in work elsewhere" if elsewhere else ""
    done = sum(not o.error and not o.unfinished for o in outcomes)
    if shard is not None:
        print(f"shard {shard}: {done} of {len(outcomes)} files done{others}; when all have ended: mien gather {out}")
    elif any(o.folder for o in outcomes):
        print(f"{done} of {len(outcomes)} files done; index: {out / 'files.csv'}{left}{others}")
        print(f"all faces: {out / 'faces.csv'}")


def _tell(outcome: "Outcome", as_json: bool) -> None:
    from mien.cluster import kept_summary

    if outcome.error:
        _complain(outcome.error)
    if outcome.unfinished and not as_json:
        print(f"{outcome.source}: another process works on it", flush=True)
    if outcome.folder is None:
        return
    if as_json:
        summary = outcome.summary or kept_summary(outcome.folder)
        print(json.dumps({"folder": outcome.folder} | summary, ensure_ascii=False), flush=True)
    elif outcome.summary is not None:
        print(f"{outcome.source}: {outcome.summary['headline']}")
        for note in outcome.summary["media"]["notes"]:
            print(f"note: {note}")
        print(f"report: {place(outcome.folder) / 'report.html'}", flush=True)
    else:
        print(f"{outcome.source}: done before: {outcome.folder}", flush=True)


class Bars:
    """Progress on stderr: of one film in seconds of film, of many files in their bytes. Quiet where stderr is no terminal.

    A shard's progress is a line a minute there, for the log that its scheduler keeps.
    """

    LINE_S = 60.0

    def __init__(self, sources: Sequence[str], *, files: bool, jobs: int, shard: "Shard | None" = None) -> None:
        from mien.media import shown_name

        self.sources, self.files, self.jobs, self.shard = sources, files, jobs, shard
        self._names = [shown_name(source) for source in sources]
        self._sizes = {name: _bytes(source) for name, source in zip(self._names, sources, strict=True)}
        self._total, self._done, self._count = float(sum(self._sizes.values())), 0.0, 0
        self._files: Any = None
        self._film: Any = None
        self._started = self._said = time.monotonic()

    def __enter__(self) -> "Bars":
        if self.files:
            # In bytes, since the files of a folder are rarely of one length, and to look into each one first would take long.
            layout = "{desc} {percentage:3.0f}%|{bar}| {postfix} [{elapsed}<{remaining}]"
            self._files = bar(total=self._total, desc="files", bar_format=layout)
        return self

    def __exit__(self, *error: object) -> None:
        self._close_film()
        if self._files is not None:
            self._files.close()

    def progress(self, number: int) -> Callable[[int, float, float | None], None]:
        self._close_film()
        name = Path(self.sources[number]).name
        size = self._sizes[self._names[number]]

        def advance(frames: int, time_s: float, total_s: float | None) -> None:
            if self._film is None:
                # With a known length the bar is in seconds of film, so that the time left is right whatever --every says.
                layout = "{desc} {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} s [{elapsed}<{remaining}, {postfix}]"
                extra = {"bar_format": layout} if total_s else {"unit": "frame"}
                self._film = bar(total=total_s, desc=name, leave=False, **extra)
                self._began = time.perf_counter()
            rate = frames / max(1e-9, time.perf_counter() - self._began)
            if total_s:
                self._film.set_postfix_str(f"{rate:.0f} frames/s", refresh=False)
                self._film.update(min(time_s, total_s) - self._film.n)
                self._show(self._done + size * min(1.0, time_s / total_s))
            else:
                self._film.update(frames - self._film.n)

        return advance

    def done(self, outcome: "Outcome") -> None:
        self._close_film()
        size = self._sizes.get(outcome.source, 0)
        self._count += 1
        if outcome.summary is None:  # nothing was done now: it tells nothing of how long the others take
            self._total -= size
        else:
            self._done += size
        self._show(self._done)
        now = time.monotonic()
        if self.shard is not None and not sys.stderr.isatty() and now - self._said >= self.LINE_S:
            self._said = now
            share = self._done / max(1.0, self._total)
            left = (now - self._started) * (1 - share) / max(share, 1e-9)
            done = f"{self._count} of {len(self.sources)} files, {100 * share:.0f} %"
            print(f"mien: shard {self.shard}: {done}, about {left / 60:.0f} min left", file=sys.stderr, flush=True)

    def _show(self, done: float) -> None:
        if self._files is not None:
            self._files.total = max(1.0, self._total)
            self._files.set_postfix_str(f"{self._count}/{len(self.sources)} files", refresh=False)
            self._files.update(done - self._files.n)

    def _close_film(self) -> None:
        if self._film is not None:
            self._film.close()
            self._film = None


def _bytes(source: str) -> int:
    """Of a file; 1 of what has none, so that it counts for something."""
    try:
        return max(1, os.stat(source).st_size)
    except (OSError, ValueError):
        return 1


# --- mien gather -----------------------------------------------------------------------------------------------------------------


def _gather(commands: Any) -> None:
    parser = command(
        commands,
        "gather",
        gather,
        "write tables and a page of all results in a folder, also of a run that is not over",
        "files.csv has a row per file, faces.csv all faces (faces.parquet too with: pip install 'mien[tables]'), and index.html\n"
        "shows the files, in the order of any column, with links to their reports. The exit code is 1 where files failed.",
    )
    parser.add_argument("out", type=place, metavar="DIR", help="what --out of mien analyze was")


def gather(options: argparse.Namespace) -> int:
    from mien.gather import gather as gather_results

    found = gather_results(options.out)
    counts = found.counts
    print(f"{sum(counts.values())} files: {', '.join(f'{count} {status}' for status, count in sorted(counts.items()))}")
    for note in found.notes:
        print(f"note: {note}")
    for path in found.files:
        print(path)
    return EXIT_FAILED if counts.get("failed") or counts.get("damaged") else 0


# --- mien live -------------------------------------------------------------------------------------------------------------------


def _live(commands: Any) -> None:
    parser = command(
        commands,
        "live",
        live,
        "watch a camera, stream or film in the terminal and write the same results",
        "Tell the people in front of the camera. Ctrl-C ends the recording and keeps its results. Pictures are not kept unless\n"
        "--snapshot or --video asks for them, but for one frame and small stills in the report; --no-pictures leaves out these.",
    )
    parser.add_argument("--source", default="0", metavar="0|URL|FILE", help="camera number or device, address or file; default 0")
    _looking_options(parser, 0.0)
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the results; default live-DATE-TIME.mien")
    parser.add_argument("--snapshot", action="store_true", help="keep the frame that shows most, annotated, as snapshot.png")
    parser.add_argument("--video", action="store_true", help="keep the annotated film")
    parser.add_argument("--seconds", type=amount, default=0.0, metavar="S", help="stop after so many seconds; 0 does not")


def live(options: argparse.Namespace) -> int:
    from mien.cluster import record
    from mien.turn import upright

    if options.no_pictures and (options.video or options.snapshot):
        raise ValueError("--no-pictures keeps no picture, but --video or --snapshot asks for some; leave out one of them")
    settings = _analysis_options(options, annotated=options.video)
    source: int | str = int(options.source) if options.source.isdigit() else options.source
    folder = options.out or Path(time.strftime("live-%Y%m%d-%H%M%S.mien"))
    analyzer = settings.analyzer()
    with upright(source, analyzer.detector, options.rotate, max_pixels=settings.max_pixels) as media:
        view = LiveView(media.info.name, options.seconds)
        sound = source if isinstance(source, str) and media.info.kind == "video" and media.info.has_audio else None
        with view:
            outcome = record(media, folder, settings, analyzer, sound_from=sound, watch=view.show, snapshot=options.snapshot)
    _tell(outcome, as_json=False)
    return EXIT_FAILED if outcome.error else 0


class LiveView:
    """Faces and bars as they come: redrawn in place in a terminal, a line per look elsewhere."""

    INTERVAL_S = 0.1
    """A terminal is redrawn at most ten times a second; reading faster than that only flickers."""

    def __init__(self, name: str, limit_s: float) -> None:
        self.name, self.limit_s = name, limit_s
        self.terminal = sys.stdout.isatty()
        self._lines = 0
        self._drawn = 0.0
        self._began = time.perf_counter()
        self._looks = 0

    def __enter__(self) -> "LiveView":
        if self.terminal:
            print("\x1b[?25l", end="")
        return self

    def __exit__(self, *error: object) -> None:
        if self.terminal:
            print("\x1b[?25h", end="", flush=True)

    def show(self, result: "FrameResult") -> bool:
        try:
            self._print(result)
        except BrokenPipeError:  # nobody watches any more (mien live | head): what was recorded is kept
            return False
        return not self.limit_s or result.time_s < self.limit_s

    def _print(self, result: "FrameResult") -> None:
        self._looks += 1
        now = time.perf_counter()
        if not self.terminal:
            seen = ", ".join(
                f"#{track} {name} {100 * scores.max():.0f} %"
                for track, name, scores in zip(result.tracks, _leading(result), result.smoothed, strict=True)
            )
            print(f"{result.time_s:9.2f} s  {seen or 'nobody'}", flush=True)
        elif now - self._drawn >= self.INTERVAL_S:
            self._drawn = now
            self._redraw(result, self._looks / max(1e-9, now - self._began))

    def _redraw(self, result: "FrameResult", rate: float) -> None:
        columns, rows = shutil.get_terminal_size()
        lines = [f"{self.name}  {result.time_s:.1f} s  {rate:.0f} looks/s  Ctrl-C ends and keeps the results", ""]
        if not len(result):
            lines.append("  nobody in the picture")
        wide = max(10, min(40, columns - 24))
        for i, (track, name) in enumerate(zip(result.tracks, _leading(result), strict=True)):
            lines.append(f"  face {track}: {name}")
            for label, share in zip(result.labels, result.smoothed[i].tolist(), strict=True):
                lines.append(f"    {label:<10} {'█' * round(share * wide):<{wide}} {100 * share:3.0f} %")
            lines.append("")
        if len(lines) > rows - 1:
            lines = [*lines[: rows - 2], "  …"]
        up = f"\x1b[{self._lines}A\r" if self._lines else ""
        print(up + "".join(f"{line[:columns]}\x1b[K\n" for line in lines) + "\x1b[J", end="", flush=True)
        self._lines = len(lines)


def _leading(result: "FrameResult") -> list[str]:
    """The expression of each face, smoothed, and what is said instead of one that cannot be relied on."""
    leads = result.smoothed.argmax(axis=1).tolist() if len(result) else []
    return [result.labels[i] if good else "unclear" for i, good in zip(leads, result.relied_on.tolist(), strict=True)]


# --- mien serve ------------------------------------------------------------------------------------------------------------------


def _serve(commands: Any) -> None:
    parser = command(
        commands,
        "serve",
        serve,
        "start the web application: drop films, open the camera, share the screen",
        "It listens on this machine only; any other --host demands a password or a token, from a file or from MIEN_PASSWORD or\n"
        "MIEN_TOKEN. Every setting has such a variable; docs/web.md has the list. Needs: pip install 'mien[web]'.\n\n"
        "For phones and other computers in this network: mien serve --share. It speaks https, without which browsers give no\n"
        "camera, makes a certificate where --tls-cert gives none, and a password where none is set.",
    )
    parser.add_argument("--host", metavar="NAME", help="address to listen on; default 127.0.0.1")
    parser.add_argument("--port", type=int, metavar="N", help="port to listen on, 0 for any free one; default 8700")
    parser.add_argument("--db", metavar="URL", help="database; default a SQLite file in the data folder")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="folder for uploads and results; default in the user's data folder"
    )
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="let the workers of the Dask scheduler tcp://HOST:PORT do what takes long; they see the same data\n"
        "folder and database; needs: pip install 'mien[cluster]'",
    )
    parser.add_argument("--open", action="store_true", help="open the browser")
    parser.add_argument("--share", action="store_true", help="let the local network in, over https; shows address and QR code")
    parser.add_argument(
        "--public-url",
        metavar="URL",
        help="the address that people reach it by behind a proxy, https://faces.example.org, for links and\n"
        "QR codes; needs a password or a token",
    )
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate to speak https with, PEM")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its key, PEM, where the certificate's file does not hold it")
    parser.add_argument("--password-file", type=Path, metavar="FILE", help="file whose first line is the password of the pages")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="file whose first line is the token for programs")


def serve(options: argparse.Namespace) -> int:
    _needs_web("mien serve")
    gc.disable()  # what the imports make stays: looking through it again and again would be a tenth of the start
    from mien.web.app import run
    from mien.web.settings import Settings

    settings = Settings.from_environment(
        host=options.host or ("0.0.0.0" if options.share else None),
        port=options.port,
        database_url=options.db,
        data_dir=options.data,
        cluster=options.cluster,
        password=_first_line(options.password_file),
        token=_first_line(options.token_file),
        public_url=options.public_url,
        tls_cert=options.tls_cert,
        tls_key=options.tls_key,
    )
    made = ""
    if options.share:
        from mien.web.doorstep import check_sharing
        from mien.web.security import new_password

        check_sharing(settings.host)
        if not settings.password and not settings.token:
            made = new_password()
            settings = dataclasses.replace(settings, password=made)

    def ready(address: str, public: str) -> None:
        gc.freeze()
        gc.enable()
        print(f"mien is at {address}  (Ctrl-C ends it)", flush=True)
        if options.share:
            _tell_address(public)
        if made:
            print(f"password: {made}  (made for this run; --password-file sets your own)", flush=True)
        if options.open:
            import webbrowser

            webbrowser.open(address)

    try:
        run(settings, ready, share=options.share)
    finally:
        gc.enable()
    print("mien has stopped", flush=True)
    return 0


def _tell_address(public: str) -> None:
    """The address for phones and other computers, as words and as a code for a camera."""
    from mien.web.doorstep import code

    with contextlib.suppress(UnicodeEncodeError):  # an output that knows no blocks
        print(code(public))
    print(f"phones and other computers in this network: {public}", flush=True)
    if public.startswith("http:"):
        print("that page says what to do about the browser's warning: the certificate for https was made here", flush=True)


def _needs_web(what: str) -> None:
    """Raises `ModelError` where the packages of the web application are not installed."""
    if any(importlib.util.find_spec(name) is None for name in ("fastapi", "uvicorn", "sqlalchemy", "alembic", "argon2")):
        raise ModelError(f"{what} needs the web extra; run: pip install 'mien[web]'")


def _first_line(path: Path | None) -> str | None:
    if path is None:
        return None
    lines = path.read_text(encoding="utf-8").splitlines()
    if not lines or not lines[0].strip():
        raise ValueError(f"{path}: wanted a password or token in the first line, but it is empty")
    return lines[0].strip()


# --- mien study ------------------------------------------------------------------------------------------------------------------


def _store_options(parser: Any) -> None:
    """Where mien serve keeps what these commands work on."""
    parser.add_argument("--db", metavar="URL", help="database; default a SQLite file in the data folder")
    parser.add_argument("--data", type=Path, metavar="DIR", help="the data folder; default in the user's data folder")


def _study(commands: Any) -> None:
    parser = command(
        commands,
        "study",
        study_list,
        "make, list, report, export or erase reaction studies",
        "Works on the data folder of mien serve, also while that runs. Needs: pip install 'mien[web]'.",
    )
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND")

    def verb(name: str, run: Callable[[argparse.Namespace], int], text: str, more: str = "") -> Any:
        made = command(verbs, name, run, text, more)
        _store_options(made)
        return made

    def one(name: str, run: Callable[[argparse.Namespace], int], text: str, more: str = "") -> Any:
        made = verb(name, run, text, more)
        made.add_argument("study", metavar="STUDY", help="its id, or the beginning of it, as mien study list shows it")
        return made

    new = verb(
        "new",
        study_new,
        "make a study",
        "It is a draft; questions, invitations and the rest are made on its page. Prints its id.",
    )
    new.add_argument("file", nargs="?", type=Path, metavar="FILE", help="what mien study export wrote; default an empty study")
    new.add_argument("--title", metavar="TEXT", help="its title")
    new.add_argument("--purpose", metavar="NAME", help="what it is for: film_test, advertising, game, research, art, event, …")
    new.add_argument("--contact", metavar="TEXT", help="who runs it, and how to reach them")
    new.add_argument("--film", type=Path, action="append", default=[], metavar="FILE", help="a film to show; again for more")
    list_ = verb("list", study_list, "list the studies, the newest first")
    list_.add_argument("--json", action="store_true", help="print each as a line of JSON")
    report = one("report", study_report, "write the report of a study as HTML, PDF, JSON and CSV")
    report.add_argument("--out", type=Path, metavar="DIR", help="folder of the results; default STUDY.review")
    report.add_argument("--paper", choices=("a4", "letter"), default="a4", help="paper of the PDF; default a4")
    export = one(
        "export",
        study_export,
        "write a study's definition, or all that is kept of one viewer, as a file",
        "Nobody's data is in a definition. Where pictures of a viewer are kept, the file is a zip.",
    )
    export.add_argument("--viewer", metavar="NAME", help="this one's data instead: 3, or R1-3 for a face of a room")
    export.add_argument("--out", type=Path, metavar="FILE", help="default: a definition is printed, a viewer's file has a name")
    erase = one(
        "erase",
        study_erase,
        "erase a study, or one viewer of it, and prove it",
        "Films, answers, scores, pictures, reports and log go; copies that were downloaded are not touched.",
    )
    erase.add_argument("--viewer", metavar="NAME", help="only this one: 3, or R1-3 for a face of a room")
    erase.add_argument("--yes", action="store_true", help="do not ask")


@contextlib.contextmanager
def _offline(options: argparse.Namespace) -> Iterator[Any]:
    """What the server does with studies, on its data folder, without it."""
    _needs_web("mien study")
    from mien.web.errors import ApiError
    from mien.web.offline import Offline
    from mien.web.services import private_files
    from mien.web.settings import Settings

    settings = Settings.from_environment(data_dir=getattr(options, "data", None), database_url=getattr(options, "db", None))
    try:
        with private_files(), Offline(settings) as offline:
            yield offline
    except ApiError as error:
        raise DataError(error.message) from error


def study_new(options: argparse.Namespace) -> int:
    given = {name: value for name in ("title", "purpose", "contact") if (value := getattr(options, name)) is not None}
    definition = {}
    if options.file is not None:
        try:
            definition = parsed(options.file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"{options.file}: is no JSON, but wanted a study as mien study export writes it: {error}") from error
        if not isinstance(definition, dict):
            raise DataError(f"{options.file}: wanted a study as mien study export writes it, but got a {type(definition).__name__}")
    for film in options.film:
        if not film.is_file():
            raise MediaError(f"{film}: there is no such file")
    with _offline(options) as offline:
        row = offline.make(definition | given, options.film)
        missing = offline.missing(row.id)
    print(row.id)
    if missing:
        print(f"still needed before it can be opened: {', '.join(missing)}", file=sys.stderr)
    return 0


def study_list(options: argparse.Namespace) -> int:
    with _offline(options) as offline:
        rows = offline.listed()
    if getattr(options, "json", False):
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
        return 0
    for row in rows:
        people = f"{row['agreed']} agreed, {row['finished']} finished"
        print(f"{row['id']}  {row['state']:<8}  {row['created_at'][:10]}  {people:<26}  {row['title'] or '(no title)'}")
    if not rows:
        print("no studies yet; make one with: mien study new --title TEXT", file=sys.stderr)
    return 0


def study_report(options: argparse.Namespace) -> int:
    with _offline(options) as offline:
        row = offline.found(options.study)
        out = options.out or Path(f"{row.id}.review")
        headline, names = offline.report(row, out, options.paper)
    print(f"{row.title or row.id}: {headline}")
    print(CAVEAT)
    for name in names:
        print(f"{name}: {(out / name).resolve()}")
    return 0


def study_export(options: argparse.Namespace) -> int:
    with _offline(options) as offline:
        row = offline.found(options.study)
        if options.viewer:
            print(f"viewer: {offline.export_viewer(row, options.viewer, options.out)}")
            return 0
        definition = offline.exported(row)
    text = json.dumps(definition, ensure_ascii=False, indent=2)
    if options.out is None:
        print(text)
    else:
        options.out.write_text(text + "\n", encoding="utf-8")
        print(f"study: {options.out}")
    return 0


def study_erase(options: argparse.Namespace) -> int:
    with _offline(options) as offline:
        row = offline.found(options.study)
        what = f"viewer {options.viewer} of {row.title or row.id}" if options.viewer else f"{row.title or row.id} and all of it"
        if not options.yes:
            if not sys.stdin.isatty():
                raise ValueError(f"erasing {what} cannot be undone, and nobody can be asked here; say --yes")
            if input(f"Erase {what}? It cannot be undone. Type yes: ").strip().lower() != "yes":
                print("nothing was erased")
                return EXIT_FAILED
        proof = offline.erase(row, options.viewer)
    erased, left = proof.erased, proof.left
    print(f"erased: {erased.rows} rows, {erased.files} files, {erased.bytes} bytes")
    print(f"left: {left.rows} rows, {left.files} files")
    return EXIT_FAILED if left.rows or left.files else 0


# --- mien db ---------------------------------------------------------------------------------------------------------------------


def _db(commands: Any) -> None:
    parser = commands.add_parser("db", help="back up and restore all that mien serve keeps", formatter_class=Help)
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def verb(name: str, run: Callable[[argparse.Namespace], int], text: str, more: str) -> None:
        made = command(verbs, name, run, text, more)
        made.add_argument("file", type=Path, metavar="FILE", help="the backup")
        _store_options(made)

    verb(
        "backup",
        db_backup,
        "write all that the web application keeps into one file",
        "Rows of the database, SQLite or PostgreSQL, and the folders of analyses and studies; no logins. The server must not\n"
        "run meanwhile. What is erased later is still in the file: erase that, too.",
    )
    verb(
        "restore",
        db_restore,
        "take back what mien db backup wrote",
        "Into an empty data folder and an empty database, of either kind. Each file is checked before anything is taken; a\n"
        "backup that is damaged or not whole is refused.",
    )


def db_backup(options: argparse.Namespace) -> int:
    _needs_web("mien db")
    from mien.web.operations.backup import backup

    return _backed_up("backup", backup, options)


def db_restore(options: argparse.Namespace) -> int:
    _needs_web("mien db")
    from mien.web.operations.backup import restore

    return _backed_up("restored", restore, options)


def _backed_up(what: str, do: Callable[..., Any], options: argparse.Namespace) -> int:
    from mien.web.services import private_files
    from mien.web.settings import Settings

    settings = Settings.from_environment(data_dir=options.data, database_url=options.db)
    with private_files():
        found = do(settings, options.file)
    print(f"{what}: {options.file}: {found.rows} rows, {found.files} files, {found.bytes / 1e6:.1f} MB")
    return 0


# --- mien demo -------------------------------------------------------------------------------------------------------------------


def _demo(commands: Any) -> None:
    parser = command(commands, "demo", demo, "make a short film of portraits that other packages carry, and analyse it")
    parser.add_argument(
        "--study", action="store_true", help="instead a sample study: ten simulated viewers of a film, and its report"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the results; default demo.mien, and demo-study.mien with --study"
    )


def demo(options: argparse.Namespace) -> int:
    return (
        _demo_of_a_study(options.out or Path("demo-study.mien"))
        if options.study
        else _demo_of_a_film(options.out or Path("demo.mien"))
    )


def _demo_of_a_study(out: Path) -> int:
    from mien.study_report import sample
    from mien.study_report.headline import headline
    from mien.study_report.sample_film import DURATION_S

    print(f"drawing a film of {DURATION_S:.0f} s and making the report …", flush=True)
    review = sample.write(out)
    print(f"sample study: {headline(review)}")
    print(f"simulated: {sample.SIMULATED}")
    print(CAVEAT)
    for name, what in sample.FILES.items():
        print(f"{what}: {(out / name).resolve()}")
    return 0


def _demo_of_a_film(out: Path) -> int:
    import tempfile

    from mien.cluster import AnalysisOptions, analyze_files
    from mien.demo import demo_film

    with tempfile.TemporaryDirectory() as scratch:
        film = demo_film(Path(scratch) / "demo.mp4")
        with Bars([str(film)], files=False, jobs=1) as bars:
            outcome = next(analyze_files([str(film)], [out], AnalysisOptions(), progress=bars.progress))
    if outcome.folder is None:
        raise MediaError(outcome.error or "the demo failed")
    print(f"demo film: {outcome.summary['headline'] if outcome.summary else ''}")
    print(CAVEAT)
    print(f"report: {(Path(outcome.folder) / 'report.html').resolve()}")
    return 0


# --- mien models -----------------------------------------------------------------------------------------------------------------


def _models(commands: Any) -> None:
    parser = command(commands, "models", models_list, "list, show or pull models")
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND")
    command(verbs, "list", models_list, "list the models that are here")
    show = command(verbs, "show", models_show, "show a model's card, or the layers of a network")
    show.add_argument("name", metavar="NAME|DIR", help="model; with --layers also the name of a network, or a recipe (.toml)")
    what = show.add_mutually_exclusive_group()
    what.add_argument("--json", action="store_true", help="print model.json instead")
    what.add_argument("--layers", action="store_true", help="print the network's layers instead; needs: pip install 'mien[train]'")
    pull = command(
        verbs,
        "pull",
        models_pull,
        "download a model, check its sha256, and keep it for later",
        "Nothing is ever downloaded otherwise.",
    )
    pull.add_argument("name", metavar="NAME", help="the name it gets here")
    pull.add_argument("--url", required=True, help="address of a zip file with the model's folder")
    pull.add_argument("--sha256", required=True, metavar="HEX", help="what the zip file's sha256 must be")


def models_list(options: argparse.Namespace) -> int:
    from mien.models import DEFAULT_MODEL, known_models, read_spec

    rows = []
    for name, folder in known_models().items():
        try:
            spec = read_spec(folder)
        except ModelError as error:  # one damaged folder does not hide the others
            rows.append((name, "", "", "", f"damaged: {error}"))
            continue
        marks = " (default)" if name == DEFAULT_MODEL else ""
        size = (folder / "model.onnx").stat().st_size / 1e6 if (folder / "model.onnx").is_file() else 0.0
        rows.append((name + marks, f"{size:.1f} MB", spec.version, ", ".join(h.name for h in spec.heads), spec.description))
    if not rows:
        print("no models")
        return 0
    head = ("model", "size", "version", "labels", "")
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(4)]
    for row in [head, *rows]:
        print("  ".join([*(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=False)), row[4]]).rstrip())
    return 0


def models_show(options: argparse.Namespace) -> int:
    from mien.models import load_model

    if options.layers:
        from mien.training.commands import show_layers

        return show_layers(options.name)
    bundle = load_model(options.name)
    print(json.dumps(bundle.spec.to_json(), indent=1, ensure_ascii=False) if options.json else bundle.card.rstrip())
    return 0


def models_pull(options: argparse.Namespace) -> int:
    from mien.models import pull

    print(f"model: {pull(options.name, options.url, options.sha256)}")
    return 0


# --- mien doctor -----------------------------------------------------------------------------------------------------------------


def _doctor(commands: Any) -> None:
    command(commands, "doctor", doctor, "check that everything mien needs is here and works")


def doctor(options: argparse.Namespace) -> int:
    import tempfile

    def versions() -> str:
        from importlib.metadata import version

        names = ("numpy", "onnxruntime", "opencv-python-headless", "av", "scipy", "matplotlib", "plotly")
        return ", ".join(f"{name} {version(name)}" for name in names)

    def detector() -> str:
        from mien.demo import PORTRAITS, installed_file
        from mien.detect import YuNet
        from mien.media import read_picture

        portrait = installed_file(*PORTRAITS[0])
        if portrait is None:
            raise MediaError("matplotlib's portrait is not installed, so nothing could be tried")
        found = YuNet()(read_picture(portrait).rgb)
        if len(found) != 1:
            raise ModelError(f"wanted one face in matplotlib's portrait, but got {len(found)}")
        return f"yunet finds the face in matplotlib's portrait (score {found.scores[0]:.2f})"

    def model() -> str:
        from mien.analyze import Analyzer
        from mien.demo import PORTRAITS, installed_file
        from mien.models import load_model

        bundle = load_model()
        portrait = installed_file(*PORTRAITS[0])
        if portrait is None:
            raise MediaError("matplotlib's portrait is not installed, so nothing could be tried")
        started = time.perf_counter()
        result = Analyzer(bundle).picture(portrait)
        took = f"{1000 * (time.perf_counter() - started):.0f} ms"
        return f"{bundle.spec.name} {bundle.spec.version} calls it {', '.join(result.expressions)} ({took})"

    def networks() -> str:
        from mien.models import devices

        return ", ".join(devices())

    def encoder() -> str:
        import numpy as np

        from mien.media import VideoWriter

        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "try.mp4"
            with VideoWriter(path, 64, 64, fps_hint=25) as film:
                film.write(np.zeros((64, 64, 3), np.uint8), 0.0)
            return f"H.264 film of one frame, {path.stat().st_size} bytes"

    def cameras() -> str:
        found = sorted(Path("/dev").glob("video*")) if sys.platform.startswith("linux") else []
        if not sys.platform.startswith("linux"):
            return "not looked for on this system; try: mien live"
        return ", ".join(map(str, found)) or "none (films and pictures work without)"

    def training() -> str:
        if importlib.util.find_spec("torch") is None:
            return "not installed (not needed to analyse); pip install 'mien[train]'"
        from importlib.metadata import version

        return f"torch {version('torch')}"

    def disk() -> str:
        free = shutil.disk_usage(".").free / 1e9
        if not os.access(".", os.W_OK):
            raise MediaError(f"{Path.cwd()}: cannot be written to; results go here unless --out says otherwise")
        return f"{free:.1f} GB free here"

    checks: tuple[tuple[str, Callable[[], str]], ...] = (
        ("packages", versions),
        ("detector", detector),
        ("model", model),
        ("devices", networks),
        ("film writing", encoder),
        ("cameras", cameras),
        ("training", training),
        ("disk", disk),
    )
    print(f"mien {__version__}, Python {sys.version.split()[0]}, {sys.platform}")
    failed = 0
    for name, check in checks:
        try:
            print(f"  ok    {name}: {check()}")
        except Exception as error:  # whatever is broken is what the doctor is for
            failed += 1
            print(f"  FAIL  {name}: {' '.join(str(error).split()) or type(error).__name__}")
    return EXIT_FAILED if failed else 0


if __name__ == "__main__":
    sys.exit(main())
