"""What commands print: records of objects, and tables, JSON, YAML and text made of them."""
