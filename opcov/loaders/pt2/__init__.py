"""The parts that read a `.pt2` archive: the zip, its JSON graph, the values and sizes in it."""
