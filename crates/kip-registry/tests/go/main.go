// A registry in memory, from the module go-containerregistry, which keeps lists of referrers itself. Prints its address
// and runs until its standard input ends.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	quiet := log.New(io.Discard, "", 0)
	go func() {
		log.Fatal(http.Serve(listener, registry.New(registry.WithReferrersSupport(true), registry.Logger(quiet))))
	}()
	// Whoever started it holds the other end.
	_, _ = io.Copy(io.Discard, os.Stdin)
}
