//! Version information and manifest of `tidegate-appserver.exe`.

fn main() -> std::io::Result<()> {
    tidegate_resource::embed_in_programs("tidegate-appserver")
}
