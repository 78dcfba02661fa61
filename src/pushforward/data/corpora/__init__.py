"""Texts that come with the library, in the public domain.

``wonderland.txt`` is Lewis Carroll's Alice's Adventures in Wonderland (1865), its twelve chapters, as the package
wordcloud 1.9.6 of PyPI ships it (``examples/alice.txt``, an electronic text without copyright), less what is not
Carroll's: its licence's head and foot, ornaments, and editors' notes.
"""
