"""What pages, API and command line share about matters: names, shown values, marks, printed documents, registers."""
