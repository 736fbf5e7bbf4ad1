"""Studies: their rows, films, participants and group sessions."""
