//! A graph of operations: which would have to come before which.

/// Edges between numbered nodes.
#[derive(Debug)]
pub(super) struct Graph {
    edges: Vec<(u32, u32)>,
    nodes: u32,
    /// A node was already found to come before itself.
    pub broken: bool,
}

impl Graph {
    pub fn new(nodes: u32) -> Graph {
        Graph { edges: Vec::new(), nodes, broken: false }
    }

    /// Adds a node.
    pub fn node(&mut self) -> u32 {
        self.nodes += 1;
        self.nodes - 1
    }

    /// `one` comes before `other`.
    pub fn edge(&mut self, one: u32, other: u32) {
        self.edges.push((one, other));
    }

    /// Whether some node comes before itself (Kahn 1962).
    pub fn has_cycle(&self) -> bool {
        if self.broken {
            return true;
        }
        let mut incoming = vec![0u32; self.nodes as usize];
        let mut edges = self.edges.clone();
        edges.sort_unstable();
        edges.dedup();
        edges.iter().for_each(|(_, to)| incoming[*to as usize] += 1);
        let mut ready: Vec<u32> = (0..self.nodes).filter(|node| incoming[*node as usize] == 0).collect();
        let mut done = 0;
        while let Some(node) = ready.pop() {
            done += 1;
            let first = edges.partition_point(|(from, _)| *from < node);
            for (_, to) in edges[first..].iter().take_while(|(from, _)| *from == node) {
                incoming[*to as usize] -= 1;
                if incoming[*to as usize] == 0 {
                    ready.push(*to);
                }
            }
        }
        done < self.nodes
    }
}
