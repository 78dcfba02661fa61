"""The log-determinant of ``x + g(x)``: exactly, by a truncated power series, or without bias by Russian roulette."""
