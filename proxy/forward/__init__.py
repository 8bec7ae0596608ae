"""Phase 4, forward: bytes travel both ways unchanged; all I/O with agents and upstreams is here."""
