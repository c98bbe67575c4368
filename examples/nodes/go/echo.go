// The smallest node: it answers every echo.
//
//	cd examples/nodes/go && go build -o /tmp/echo echo.go node.go
//	schism nodes /tmp/echo --service echo --scenario split-brain --seeds 5
package main

func main() {
	node := NewNode()
	node.On("echo", func(m Message) { node.Reply(m, Body{"type": "echo_ok", "echo": m.Body["echo"]}) })
	node.Run()
}
