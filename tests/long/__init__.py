"""The commands of long runs: their arithmetic, and a few seconds of each for real."""
