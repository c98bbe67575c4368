// The smallest node: it answers every echo.
//
//   javac -d /tmp/echo examples/nodes/java/*.java
//   schism nodes "java -cp /tmp/echo Echo" --service echo --scenario split-brain --seeds 5
public class Echo {
    public static void main(String[] words) throws Exception {
        var node = new Node();
        node.on("echo", message -> node.reply(message, Node.body("type", "echo_ok", "echo", message.body().get("echo"))));
        node.run();
    }
}
