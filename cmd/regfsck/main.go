// Command regfsck checks and repairs the storage of a Docker/CNCF Distribution
// registry. It is to a registry's files what e2fsck is to a disk.
//
// This package turns arguments into values, joins the phases, and maps the
// outcome to an exit code; it knows nothing of registries. Nothing here ends
// the process but main, and no command looks at anything but its session, so
// that tests run the whole program any number of times in one process.
//
// stdout holds the answer and nothing else: the text, or with --json the one
// document. Everything else, errors and progress, goes to stderr; what fails
// before there is an answer leaves stdout empty.
package main

import (
	"context"
	"os"
)

func main() { os.Exit(run(context.Background(), os.Args, system())) }
