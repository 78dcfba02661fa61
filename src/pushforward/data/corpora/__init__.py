"""Texts that come with the library, in the public domain."""
