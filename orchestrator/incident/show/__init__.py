"""What is printed of incidents; the words of a journal are those of `sentences`, and a report makes its own pages."""
