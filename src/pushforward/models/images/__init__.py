"""Recipes of images of integers: dequantized, at several scales, or as in the UvA tutorial."""
