"""Charts of the published tables, for asset pages and the board. Drawing is in `assets.board.charts`."""
