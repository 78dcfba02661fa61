"""The playground: a page, served by this machine to itself, on which a flow learns a density while one watches."""

from pushforward.playground.server import serve
from pushforward.playground.static_site import write_site

__all__ = ["serve", "write_site"]
