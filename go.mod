module github.com/parley-voice/parley

go 1.26
