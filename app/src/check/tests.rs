mod paths;
mod words;
