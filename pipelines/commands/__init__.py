"""What each word of the `aftersale` command does. Parsing the command line is in `pipelines.cli`."""
