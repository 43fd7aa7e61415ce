#Requires -Version 5.1
<#
.SYNOPSIS
    Removes Tidegate's services, firewall rule and programs. Sites stay.
.DESCRIPTION
    Stops both services, which finish requests first, removes them, and deletes the directory that install.ps1 has made. Site
    files, applications, logs and what Tidegate keeps beside them stay, unless -DataPath names directories to delete as well.
    What the MSI has installed is removed by the MSI. Run it as administrator.
.PARAMETER Destination
    Where the programs are.
.PARAMETER Name
    Beginning of the services' names.
.PARAMETER DataPath
    Directories to delete too, such as C:\ProgramData\shop\.tidegate. Each is asked for.
.EXAMPLE
    .\uninstall.ps1
.EXAMPLE
    .\uninstall.ps1 -DataPath C:\ProgramData\shop\.tidegate -Confirm:$false
#>
[CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'High')]
param(
    [ValidateNotNullOrEmpty()]
    [string] $Destination = (Join-Path -Path $env:ProgramFiles -ChildPath 'Tidegate'),

    [ValidatePattern('^[A-Za-z][A-Za-z0-9-]{0,31}$')]
    [string] $Name = 'Tidegate',

    [string[]] $DataPath = @()
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

function Invoke-Tidegate {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)]
        [string[]] $Argument
    )
    & $command @Argument
    if ($LASTEXITCODE -ne 0) {
        throw "tidegate $($Argument -join ' ') ended with code $LASTEXITCODE"
    }
}

$command = Join-Path -Path $Destination -ChildPath 'tidegate.exe'
if (-not (Test-Path -Path $command)) {
    throw "There is no Tidegate in $Destination; -Destination names another directory."
}
if ($PSCmdlet.ShouldProcess("$Name services", 'Stop and remove')) {
    Invoke-Tidegate -Argument @('service', 'uninstall', '--name', $Name)
}
$rule = Get-NetFirewallRule -Name "$Name-Proxy" -ErrorAction SilentlyContinue
if ($rule -and $PSCmdlet.ShouldProcess("$Name-Proxy", 'Remove the firewall rule')) {
    $rule | Remove-NetFirewallRule
}
if ($PSCmdlet.ShouldProcess($Destination, 'Delete the programs')) {
    Remove-Item -Path $Destination -Recurse -Force
}
foreach ($directory in $DataPath) {
    if ($PSCmdlet.ShouldProcess($directory, 'Delete data')) {
        Remove-Item -Path $directory -Recurse -Force
    }
}
