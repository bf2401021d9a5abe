"""YAML and HCL to an Environment, or every problem at once with file:line:column. Begin with `load.py`."""
