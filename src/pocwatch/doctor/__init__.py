"""Is everything here that pocwatch needs? Questions to this computer, each with a cure."""
