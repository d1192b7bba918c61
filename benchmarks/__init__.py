"""What the workbench promises, measured; and its engines beside what people use instead."""
