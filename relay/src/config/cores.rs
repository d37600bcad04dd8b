//! `cores`: which ones the shards run on.

use super::Mistake;

/// The cores that a list such as `2,3,4-7` names, in its order. `usable` are those this process may
/// run on.
pub(super) fn listed(list: &str, usable: &[usize]) -> Result<Vec<usize>, Mistake> {
    let mistake = || {
        Mistake(format!(
            "`{list}` is no list of cores: write for example 2,3 or 4-7 (cores)"
        ))
    };
    let mut cores = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first: usize = first.trim().parse().map_err(|_| mistake())?;
        let last: usize = last.trim().parse().map_err(|_| mistake())?;
        if first > last || last > 4095 {
            return Err(mistake());
        }
        cores.extend(first..=last);
    }
    for (place, core) in cores.iter().enumerate() {
        if cores[..place].contains(core) {
            return Err(Mistake(format!("`{list}` names core {core} twice (cores)")));
        }
        if !usable.contains(core) {
            return Err(Mistake(format!(
                "core {core} is not among those that this process may run on, {} (cores): taskset, \
                 AllowedCPUs= or CPUAffinity= of the unit, and the machine decide on them",
                in_short(usable)
            )));
        }
    }
    Ok(cores)
}

/// As an operator writes them: `0-3,8`.
fn in_short(cores: &[usize]) -> String {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for &core in cores {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == core => *last = core,
            _ => parts.push((core, core)),
        }
    }
    let parts = parts.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    parts.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_taken_in_its_order() {
        assert_eq!(listed("5, 2-3", &[2, 3, 4, 5]).unwrap(), [5, 2, 3]);
    }

    #[test]
    fn a_core_that_we_may_not_run_on_is_told_with_those_we_may() {
        let told = |list, usable: &[usize]| listed(list, usable).unwrap_err().0;
        assert!(told("1-0", &[0, 1]).contains("4-7"));
        assert!(told("0,0", &[0, 1]).contains("twice"));
        assert!(told("4", &[0, 2, 3, 5, 6]).contains("0,2-3,5-6"));
    }
}
