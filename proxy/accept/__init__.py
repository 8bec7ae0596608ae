"""Phase 1, accept: the URL names route and upstream path, prefix and headers may name more; ids are made here."""
