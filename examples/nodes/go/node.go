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
	"fmt"
	"math/rand"
	"os"
)

// Codes of errors, Maelstrom's.
const (
	NotSupported           = 10
	TemporarilyUnavailable = 11
	Crash                  = 13
	KeyDoesNotExist        = 20
	PreconditionFailed     = 22
)

// Body is the content of a message.
type Body map[string]any

// Message is what arrived. Numbers in it are json.Number.
type Message struct {
	Src, Dest string
	Body      Body
}

// Timing is what the scenario has for Raft, in milliseconds.
type Timing struct {
	Heartbeat   float64 `json:"heartbeat_ms"`
	ElectionMin float64 `json:"election_min_ms"`
	ElectionMax float64 `json:"election_max_ms"`
}

type event struct {
	Message
	Event  string
	Now    float64 `json:"now_ms"`
	Random int64
	Timer  string
	Disk   map[string]json.RawMessage
	Timing Timing
}

// Node is this process.
type Node struct {
	ID         string
	IDs, Peers []string // all nodes, and all but this one
	Now        float64  // what this node's clock reads, in milliseconds; it may be wrong
	Disk       map[string]json.RawMessage
	Timing     Timing
	Random     *rand.Rand
	init       func()
	handlers   map[string]func(Message)
	timers     map[string]func()
	out        *bufio.Writer
}

// NewNode makes the node of this process.
func NewNode() *Node {
	return &Node{Random: rand.New(rand.NewSource(0)), handlers: map[string]func(Message){},
		timers: map[string]func(){}, out: bufio.NewWriterSize(os.Stdout, 1<<16)}
}

// On registers the handler of messages of a type.
func (n *Node) On(kind string, handler func(Message)) { n.handlers[kind] = handler }

// OnInit registers what is called at the start, once ID, Peers, Disk and Timing are known.
func (n *Node) OnInit(handler func()) { n.init = handler }

func (n *Node) write(line any) {
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	n.out.Write(append(text, '\n'))
}

// Send sends a message to a node or a client.
func (n *Node) Send(dest string, body Body) { n.write(Body{"dest": dest, "body": body}) }

// Broadcast sends a message to all other nodes.
func (n *Node) Broadcast(body Body) {
	for _, peer := range n.Peers {
		n.Send(peer, body)
	}
}

// Reply answers a message.
func (n *Node) Reply(m Message, body Body) {
	body["in_reply_to"] = m.Body["msg_id"]
	n.Send(m.Src, body)
}

// Error answers a message with an error; extra may be nil.
func (n *Node) Error(m Message, code int, text string, extra Body) {
	body := Body{"type": "error", "code": code, "text": text}
	for key, value := range extra { // json.Marshal sorts keys
		body[key] = value
	}
	n.Reply(m, body)
}

// After sets the timer of this name; it replaces one of the same name.
func (n *Node) After(ms float64, timer string, handler func()) {
	n.timers[timer] = handler
	n.write(Body{"timer": timer, "after": ms})
}

// Stop stops a timer.
func (n *Node) Stop(timer string) {
	delete(n.timers, timer)
	n.write(Body{"timer": timer})
}

// Save writes to the disk; nil removes. Without Sync a loss of power may undo it.
func (n *Node) Save(key string, value any) { n.write(Body{"save": key, "value": value}) }

// Sync makes durable what was saved. What this event sends later leaves only after that.
func (n *Node) Sync() { n.write(Body{"sync": true}) }

// Role tells the page and the faults what this node is: "leader", "candidate", "follower" or a word of yours.
func (n *Node) Role(word string, term int) { n.write(Body{"role": word, "term": term}) }

// Log says something for people.
func (n *Node) Log(words ...any) { n.write(Body{"log": fmt.Sprint(words...)}) }

// Run answers events until the simulator is done.
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
			n.Error(e.Message, NotSupported, "this node knows no "+kind, nil)
		}
	}
}
