"""The terminal viewer: sources of rows and pages, widgets that draw them, and the program around them."""
