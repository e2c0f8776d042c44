"""Films in, films out: frames with their timestamps and colours; sound, subtitles and metadata copied.

``source.py`` opens whatever moves (a video file, an animated picture, numbered pictures), ``sink.py`` writes it.
"""
