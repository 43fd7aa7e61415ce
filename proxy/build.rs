//! Version information and manifest of `tidegate-proxy.exe`.

fn main() -> std::io::Result<()> {
    tidegate_resource::embed_in_programs("tidegate-proxy")
}
