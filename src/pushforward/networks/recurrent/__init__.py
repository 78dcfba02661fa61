"""Recurrent networks of images: long short-term memories along rows and diagonals."""
