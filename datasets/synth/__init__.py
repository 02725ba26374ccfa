"""Pictures of that world: letters as paint, walls that carry them, and the camera that looks at both."""
