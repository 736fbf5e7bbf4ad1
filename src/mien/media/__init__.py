"""Pictures, films and cameras in; pictures and H.264 films out. The only folder that imports av and Pillow.

    with open_media("talk.mp4") as media:
        for frame in media.frames(every=0.5):
            ...

What a file is, is decided by its content and never by its name. Films are decoded from front to back on one thread: on short
H.264 frames that costs the fewest CPU-seconds (frame threads take a fifth more, for less wall time), and `flow.prefetch` overlaps
it with whatever follows. Only a `TimeRange` seeks, and no frame is converted that nobody asked for. Whatever goes wrong is one
line in a `MediaError`; no exception of PyAV or Pillow leaves this folder.
"""

from mien.media.browser_film import film_for_browsers
from mien.media.film import MAX_FILM_PIXELS
from mien.media.pictures import MAX_PICTURE_PIXELS, decode_picture, held_picture
from mien.media.read import Media, open_media, read_picture, shown_name, stills_at
from mien.media.shown import rgb_of, rotated
from mien.media.time_range import Seam, TimeRange
from mien.media.write import VideoWriter, write_picture

__all__ = [
    "MAX_FILM_PIXELS",
    "MAX_PICTURE_PIXELS",
    "Media",
    "Seam",
    "TimeRange",
    "VideoWriter",
    "decode_picture",
    "film_for_browsers",
    "held_picture",
    "open_media",
    "read_picture",
    "rgb_of",
    "rotated",
    "shown_name",
    "stills_at",
    "write_picture",
]
