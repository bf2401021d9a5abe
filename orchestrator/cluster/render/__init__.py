"""A cluster as the files that its nodes need; nothing here asks or touches anything."""
