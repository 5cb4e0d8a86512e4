"""The store against issue 7's bars: end to end, throughput, memory, size on disk, and the questions."""
