"""The tests; a package, so that `tests.services` is ours and not some installed package's."""
