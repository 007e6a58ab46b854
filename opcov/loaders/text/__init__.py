"""The parts that read printed Python text: syntax, statements, expressions, annotations, comments, regions."""
