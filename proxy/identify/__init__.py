"""Phase 2, identify: whose request it is and to which run, session and step it belongs. Pure."""
