import java.io.*;
import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.function.Consumer;

/**
 * A node in lockstep with schism's simulator: copy this file beside yours. docs/NODES.md has the protocol; Echo.java is the
 * smallest node. Between two events a node does nothing: no threads, no clock of its own, no random numbers but
 * {@link #random}. A body is a Map, with List, String, Long, Double, Boolean and null in it.
 */
public class Node {
    public record Message(String src, String dest, Map<String, Object> body) {}

    public String id;
    public List<String> ids = new ArrayList<>(), peers = new ArrayList<>(); // all nodes, and all but this one
    public double now; // what this node's clock reads, in milliseconds; it may be wrong
    public Map<String, Object> disk; // at the start: what was saved
    public Map<String, Object> timing; // heartbeat_ms, election_min_ms, election_max_ms of the scenario
    public final Random random = new Random(0);
    private final Map<String, Consumer<Message>> handlers = new HashMap<>();
    private final Map<String, Runnable> timers = new HashMap<>();
    private Runnable init = () -> {};
    private final StringBuilder out = new StringBuilder();

    public void on(String type, Consumer<Message> handler) { handlers.put(type, handler); }
    /** Called at the start, once id, peers, disk and timing are known. */
    public void onInit(Runnable handler) { init = handler; }

    /** A body, from names and values in turn. */
    public static Map<String, Object> body(Object... pairs) {
        Map<String, Object> body = new LinkedHashMap<>();
        for (int i = 0; i < pairs.length; i += 2) body.put((String) pairs[i], pairs[i + 1]);
        return body;
    }

    private void write(Object... pairs) { json(body(pairs)); out.append('\n'); }
    public void send(String dest, Map<String, Object> body) { write("dest", dest, "body", body); }
    public void broadcast(Map<String, Object> body) { for (String peer : peers) send(peer, body); }

    public void reply(Message message, Map<String, Object> body) {
        body.put("in_reply_to", message.body().get("msg_id"));
        send(message.src(), body);
    }

    /** Answers with an error; the codes are Maelstrom's. */
    public void error(Message message, int code, String text) { reply(message, body("type", "error", "code", code, "text", text)); }

    /** Sets the timer of this name; it replaces one of the same name. */
    public void after(double ms, String timer, Runnable handler) { timers.put(timer, handler); write("timer", timer, "after", ms); }

    public void stop(String timer) { timers.remove(timer); write("timer", timer); }
    /** Writes to the disk; null removes. Without sync a loss of power may undo it. */
    public void save(String key, Object value) { write("save", key, "value", value); }

    /** Makes durable what was saved. What is sent later leaves only after that. */
    public void sync() { write("sync", true); }

    /** Tells the page and the faults what this node is: "leader", "candidate", "follower" or a word of yours. */
    public void role(String word, long term) { write("role", word, "term", term); }

    public void log(String text) { write("log", text); }

    @SuppressWarnings("unchecked")
    public void run() throws IOException {
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            var event = (Map<String, Object>) new Parser(line).value();
            now = ((Number) event.get("now_ms")).doubleValue();
            random.setSeed((Long) event.get("random"));
            var body = (Map<String, Object>) event.get("body");
            switch ((String) event.get("event")) {
                case "init" -> {
                    id = (String) body.get("node_id");
                    ids = (List<String>) body.get("node_ids");
                    for (String other : ids) if (!other.equals(id)) peers.add(other);
                    disk = (Map<String, Object>) event.get("disk");
                    timing = (Map<String, Object>) event.get("timing");
                    init.run();
                }
                case "timer" -> { var handler = timers.remove(event.get("timer")); if (handler != null) handler.run(); }
                default -> {
                    var message = new Message((String) event.get("src"), (String) event.get("dest"), body);
                    var handler = handlers.get(body.get("type"));
                    if (handler != null) handler.accept(message);
                    else if (body.get("in_reply_to") == null) error(message, 10, "this node knows no " + body.get("type"));
                }
            }
            System.out.write(out.append("{\"done\":true}\n").toString().getBytes(StandardCharsets.UTF_8));
            System.out.flush();
            out.setLength(0);
        }
    }

    private void json(Object value) {
        if (value instanceof Map<?, ?> map) {
            String between = "{";
            for (var entry : map.entrySet()) { out.append(between); json(entry.getKey()); out.append(':'); json(entry.getValue()); between = ","; }
            out.append(map.isEmpty() ? "{}" : "}");
        } else if (value instanceof List<?> list) {
            String between = "[";
            for (var item : list) { out.append(between); json(item); between = ","; }
            out.append(list.isEmpty() ? "[]" : "]");
        } else if (value instanceof String text) {
            out.append('"');
            for (char c : text.toCharArray()) out.append(c < ' ' ? String.format("\\u%04x", (int) c) : c == '"' || c == '\\' ? "\\" + c : "" + c);
            out.append('"');
        } else out.append(value);
    }

    private static class Parser {
        private final String text;
        private int at;
        Parser(String text) { this.text = text; }
        private char next() { while (text.charAt(at) <= ' ') at++; return text.charAt(at); }

        Object value() {
            switch (next()) {
                case '{' -> { var map = new LinkedHashMap<String, Object>(); items('}', () -> { next(); String key = string(); next(); at++; map.put(key, value()); }); return map; }
                case '[' -> { var list = new ArrayList<Object>(); items(']', () -> list.add(value())); return list; }
                case '"' -> { return string(); }
                default -> {
                    int from = at;
                    while (at < text.length() && ",]} ".indexOf(text.charAt(at)) < 0) at++;
                    String word = text.substring(from, at);
                    return switch (word) { case "null" -> null; case "true" -> true; case "false" -> false; default -> number(word); };
                }
            }
        }

        private Object number(String word) { try { return Long.valueOf(word); } catch (NumberFormatException e) { return Double.valueOf(word); } }

        private void items(char end, Runnable item) {
            at++;
            while (next() != end) { item.run(); if (next() == ',') at++; }
            at++;
        }

        private String string() {
            var result = new StringBuilder();
            for (at++; text.charAt(at) != '"'; at++) {
                if (text.charAt(at) != '\\') { result.append(text.charAt(at)); continue; }
                char c = text.charAt(++at);
                if (c == 'u') { result.append((char) Integer.parseInt(text.substring(at + 1, at + 5), 16)); at += 4; }
                else result.append("nrtbf".indexOf(c) < 0 ? c : "\n\r\t\b\f".charAt("nrtbf".indexOf(c)));
            }
            at++;
            return result.toString();
        }
    }
}
