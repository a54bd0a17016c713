//! `edgelb check`.

use edgelb_host::Edge;

use super::args::CheckArgs;

/// Prints what the component makes of the environment.
pub(super) fn run(args: &CheckArgs) -> anyhow::Result<()> {
    let edge = Edge::builder().envs(super::environment(args.env_file.as_deref())?);
    let edge = super::build(edge, args.component.as_deref())?;
    let Some(configuration) = edge.configuration() else {
        return Ok(());
    };
    let settings = &configuration.settings;
    let widest = |of: fn(&edgelb_host::Setting) -> &str| {
        let widths = settings.iter().map(|setting| of(setting).chars().count());
        widths.max().unwrap_or(0)
    };
    let (name, value) = (widest(|it| &it.name), widest(|it| &it.value));
    for setting in settings {
        let default = if setting.default { "default" } else { "" };
        let line = format!(
            "{:name$}  {:value$}  {default}",
            setting.name, setting.value
        );
        say!("{}", line.trim_end());
    }
    Ok(())
}
