// A node in lockstep with schism's simulator: copy this file beside yours. docs/NODES.md has the protocol.
//
//	func main() {
//		node := NewNode()
//		node.On("echo", func(m Message) { node.Reply(m, Body{"type": "echo_ok", "echo": m.Body["echo"]}) })
//		node.Run()
//	}
//
// Between two events a node does nothing: no goroutines, no clock of its own, no random numbers but node.Random, and no
// ranging over a map, whose order differs from process to process.
package main

import (
	"bufio"
	"encoding/json"
	"math/rand"
	"os"
)

// Codes of errors, Maelstrom's.
const NotSupported, TemporarilyUnavailable, KeyDoesNotExist, PreconditionFailed = 10, 11, 20, 22

type Body map[string]any

// Message is what arrived. Numbers in it are json.Number.
type Message struct {
	Src, Dest string
	Body      Body
}

type event struct {
	Message
	Event  string
	Now    float64 `json:"now_ms"`
	Random int64
	Timer  string
	Disk   map[string]json.RawMessage
	Timing map[string]float64
}

type Node struct {
	ID         string
	IDs, Peers []string // all nodes, and all but this one
	Now        float64  // what this node's clock reads, in milliseconds; it may be wrong
	Disk       map[string]json.RawMessage
	Timing     map[string]float64 // heartbeat_ms, election_min_ms, election_max_ms of the scenario
	Random     *rand.Rand
	init       func()
	handlers   map[string]func(Message)
	timers     map[string]func()
	out        *bufio.Writer
}

func NewNode() *Node {
	return &Node{Random: rand.New(rand.NewSource(0)), handlers: map[string]func(Message){},
		timers: map[string]func(){}, out: bufio.NewWriterSize(os.Stdout, 1<<16)}
}

func (n *Node) On(kind string, handler func(Message)) { n.handlers[kind] = handler }

// What is called at the start, once ID, Peers, Disk and Timing are known.
func (n *Node) OnInit(handler func()) { n.init = handler }

func (n *Node) write(line any) {
	if err := json.NewEncoder(n.out).Encode(line); err != nil {
		panic(err)
	}
}

func (n *Node) Send(dest string, body Body) { n.write(Body{"dest": dest, "body": body}) }

func (n *Node) Broadcast(body Body) {
	for _, peer := range n.Peers {
		n.Send(peer, body)
	}
}

func (n *Node) Reply(m Message, body Body) {
	body["in_reply_to"] = m.Body["msg_id"]
	n.Send(m.Src, body)
}

func (n *Node) Error(m Message, code int, text string) {
	n.Reply(m, Body{"type": "error", "code": code, "text": text})
}

// After sets the timer of this name; it replaces one of the same name.
func (n *Node) After(ms float64, timer string, handler func()) {
	n.timers[timer] = handler
	n.write(Body{"timer": timer, "after": ms})
}

// Stop stops a timer.
func (n *Node) Stop(timer string) { n.write(Body{"timer": timer}) }

// Save writes to the disk; nil removes. Without Sync a loss of power may undo it.
func (n *Node) Save(key string, value any) { n.write(Body{"save": key, "value": value}) }

// Sync makes durable what was saved. What is sent later leaves only after that.
func (n *Node) Sync() { n.write(Body{"sync": true}) }

// Role tells the page and the faults what this node is: "leader", "candidate", "follower" or a word of yours.
func (n *Node) Role(word string, term int) { n.write(Body{"role": word, "term": term}) }

// Log says something for people.
func (n *Node) Log(text string) { n.write(Body{"log": text}) }

func (n *Node) Run() {
	in := json.NewDecoder(bufio.NewReaderSize(os.Stdin, 1<<16))
	in.UseNumber()
	for {
		var e event
		if in.Decode(&e) != nil {
			return
		}
		n.Now = e.Now
		n.Random.Seed(e.Random)
		n.handle(e)
		n.out.WriteString("{\"done\":true}\n")
		n.out.Flush()
	}
}

func (n *Node) handle(e event) {
	switch e.Event {
	case "init":
		n.ID, n.Disk, n.Timing = e.Body["node_id"].(string), e.Disk, e.Timing
		for _, id := range e.Body["node_ids"].([]any) {
			n.IDs = append(n.IDs, id.(string))
			if id != n.ID {
				n.Peers = append(n.Peers, id.(string))
			}
		}
		if n.init != nil {
			n.init()
		}
	case "timer":
		if handler := n.timers[e.Timer]; handler != nil {
			delete(n.timers, e.Timer)
			handler()
		}
	case "message":
		kind, _ := e.Body["type"].(string)
		if handler := n.handlers[kind]; handler != nil {
			handler(e.Message)
		} else if e.Body["in_reply_to"] == nil {
			n.Error(e.Message, NotSupported, "this node knows no "+kind)
		}
	}
}
