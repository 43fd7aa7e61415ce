#Requires -Version 5.1
<#
.SYNOPSIS
    Tries on a real Windows what Tidegate's own tests cannot prove, and reports each line with what was found.
.DESCRIPTION
    Makes a small site in a directory of its own, installs services of its own for it, and looks at accounts, access lists, named
    pipes, recovery, event log, ports, static files, certificates of the machine's store and the drain. Each line of the report
    says what was tried, what was expected, what was found, and PASS, FAIL or SKIPPED with a reason. Everything that it made is
    removed at the end. It is the right-hand column of the table in docs/windows.md. Run it as administrator, on a
    machine where nothing depends on Tidegate yet.
.PARAMETER Python
    A 64-bit python.exe of CPython 3.9 or newer, installed for all users; that of a virtual environment tries the redirector too.
.PARAMETER Tidegate
    The directory of tidegate.exe. Without it that of this script.
.PARAMETER Directory
    An empty or missing directory to work in. The services' accounts have to be able to read it.
.PARAMETER Credential
    An ordinary account of this machine, to see that its programs are kept from the pipes. Without it that is skipped.
.PARAMETER Port
    The first of four free TCP ports.
.PARAMETER ReportPath
    Beginning of the names of the two reports, .txt and .json.
.PARAMETER Keep
    Leaves the site's directory, with its logs, for a look at what failed.
.EXAMPLE
    .\selftest.ps1 -Python C:\Python313\python.exe
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    [Parameter(Mandatory)]
    [ValidateScript({ Test-Path -Path $_ -PathType Leaf })]
    [string] $Python,

    [ValidateNotNullOrEmpty()]
    [string] $Tidegate = $PSScriptRoot,

    [ValidateNotNullOrEmpty()]
    [string] $Directory = (Join-Path -Path $env:ProgramData -ChildPath 'TidegateSelftest'),

    [PSCredential] $Credential,

    [ValidateRange(1024, 65000)]
    [int] $Port = 18080,

    [ValidateNotNullOrEmpty()]
    [string] $ReportPath = (Join-Path -Path (Get-Location).Path -ChildPath 'tidegate-selftest'),

    [switch] $Keep
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$name = 'TgSelftest'
$command = Join-Path -Path $Tidegate -ChildPath 'tidegate.exe'
$config = Join-Path -Path $Directory -ChildPath 'tidegate.yaml'
$services = @("${name}Proxy", "${name}Appserver")
$results = New-Object -TypeName 'System.Collections.Generic.List[object]'

# Throw-away certificates for this name, and the password of the files in which they come.
$certificateName = 'selftest.tidegate.test'
$pfx = Join-Path -Path $Directory -ChildPath 'selftest.pfx'
$passwordFile = Join-Path -Path $Directory -ChildPath 'selftest.password'
$password = [Guid]::NewGuid().ToString('N')

# --- What the checks are made with

function Add-Result {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)] [string] $Area,
        [Parameter(Mandatory)] [string] $Tried,
        [Parameter(Mandatory)] [string] $Expected,
        [AllowEmptyString()] [string] $Found = '',
        [Parameter(Mandatory)] [ValidateSet('PASS', 'FAIL', 'SKIPPED')] [string] $Outcome
    )
    $result = [pscustomobject] @{
        area = $Area; tried = $Tried; expected = $Expected; found = $Found.Trim(); outcome = $Outcome
    }
    $results.Add($result)
    Write-Information -MessageData ('{0,-7} {1}: {2}; found: {3}' -f $Outcome, $Area, $Tried, $result.found) -InformationAction Continue
}

function Test-Expectation {
    # Runs a block that returns what was found, and asks another whether that is as expected.
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)] [string] $Area,
        [Parameter(Mandatory)] [string] $Tried,
        [Parameter(Mandatory)] [string] $Expected,
        [Parameter(Mandatory)] [scriptblock] $Find,
        [Parameter(Mandatory)] [scriptblock] $Holds
    )
    try {
        $found = (& $Find | Out-String).Trim()
        $outcome = 'FAIL'
        if (& $Holds $found) {
            $outcome = 'PASS'
        }
    }
    catch {
        $found = "error: $($_.Exception.Message)"
        $outcome = 'FAIL'
    }
    Add-Result -Area $Area -Tried $Tried -Expected $Expected -Found $found -Outcome $outcome
}

function Skip-Expectation {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)] [string] $Area,
        [Parameter(Mandatory)] [string] $Tried,
        [Parameter(Mandatory)] [string] $Reason
    )
    Add-Result -Area $Area -Tried $Tried -Expected 'see docs/windows.md' -Found $Reason -Outcome 'SKIPPED'
}

function Wait-Until {
    [CmdletBinding()]
    [OutputType([bool])]
    param(
        [Parameter(Mandatory)] [scriptblock] $Condition,
        [int] $Seconds = 60
    )
    $end = (Get-Date).AddSeconds($Seconds)
    while ((Get-Date) -lt $end) {
        if (& $Condition) {
            return $true
        }
        Start-Sleep -Milliseconds 200
    }
    return $false
}

function Invoke-Tidegate {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)] [string[]] $Argument,
        [string] $Line
    )
    # What a program writes to standard error is no error of PowerShell's.
    $before = $ErrorActionPreference
    $ErrorActionPreference = 'Continue'
    try {
        if ($Line) {
            $said = $Line | & $command @Argument 2>&1 | ForEach-Object -Process { "$_" }
        }
        else {
            $said = & $command @Argument 2>&1 | ForEach-Object -Process { "$_" }
        }
    }
    finally {
        $ErrorActionPreference = $before
    }
    [pscustomobject] @{ Code = $LASTEXITCODE; Text = ($said -join "`n") }
}

function Send-Request {
    # The bytes as they are: .NET's own clients would tidy such paths up.
    [CmdletBinding()]
    [OutputType([string])]
    param(
        [Parameter(Mandatory)] [string] $Path,
        [int] $Seconds = 60
    )
    $client = New-Object -TypeName Net.Sockets.TcpClient -ArgumentList '127.0.0.1', $Port
    try {
        $client.ReceiveTimeout = $Seconds * 1000
        $stream = $client.GetStream()
        $request = [Text.Encoding]::ASCII.GetBytes("GET $Path HTTP/1.1`r`nHost: localhost`r`nConnection: close`r`n`r`n")
        $stream.Write($request, 0, $request.Length)
        $reader = New-Object -TypeName IO.StreamReader -ArgumentList $stream
        return $reader.ReadToEnd()
    }
    finally {
        $client.Dispose()
    }
}

function Get-Status {
    [CmdletBinding()]
    [OutputType([string])]
    param(
        [Parameter(Mandatory)] [string] $Path
    )
    return (Send-Request -Path $Path).Split(' ')[1]
}

function Get-ServiceProcess {
    [CmdletBinding()]
    [OutputType([int])]
    param(
        [Parameter(Mandatory)] [string] $Service
    )
    return [int] (Get-CimInstance -ClassName Win32_Service -Filter "Name='$Service'").ProcessId
}

function Get-ControlPipe {
    [CmdletBinding()]
    [OutputType([string])]
    param()
    $pipes = [IO.Directory]::GetFiles('\\.\pipe\') | Where-Object -FilterScript { $_ -match 'tidegate-[0-9a-f]+-control$' }
    return @($pipes)[0] -replace '^.*\\pipe\\', ''
}

function New-SelftestSite {
    [CmdletBinding(SupportsShouldProcess)]
    param()
    if (-not $PSCmdlet.ShouldProcess($Directory, 'Make a site')) {
        return
    }
    $static = Join-Path -Path $Directory -ChildPath 'static'
    $null = New-Item -Path $static -ItemType Directory -Force
    Set-Content -Path (Join-Path -Path $static -ChildPath 'style-of-the-site.css') -Value 'body {}' -Encoding Ascii
    Set-Content -Path (Join-Path -Path $Directory -ChildPath 'outside.txt') -Value 'outside' -Encoding Ascii
    $outside = Join-Path -Path $Directory -ChildPath 'outside'
    $null = New-Item -Path $outside -ItemType Directory -Force
    Set-Content -Path (Join-Path -Path $outside -ChildPath 'secret.txt') -Value 'secret' -Encoding Ascii
    $null = New-Item -Path (Join-Path -Path $static -ChildPath 'way-out') -ItemType Junction -Value $outside
    $app = @(
        'import os, time'
        'def app(environ, start_response):'
        '    if environ["PATH_INFO"] == "/slow":'
        '        time.sleep(4)'
        '    start_response("200 OK", [("Content-Type", "text/plain")])'
        '    return [("pid %d" % os.getpid()).encode()]'
    )
    Set-Content -Path (Join-Path -Path $Directory -ChildPath 'app.py') -Value $app -Encoding Ascii
    $lines = @(
        'version: 1'
        'listeners:'
        "  - { address: '127.0.0.1:$Port', protocol: http }"
        "  - { address: '127.0.0.1:$($Port + 1)', protocol: https }"
        "metrics: '127.0.0.1:$($Port + 2)'"
        'hosts:'
        '  - routes:'
        '      - { path: /static, files: static }'
        '      - { path: /, app: shop }'
        'apps:'
        '  shop:'
        "    wsgi: 'app:app'"
        "    python: '$($Python -replace "'", "''")'"
    )
    Set-Content -Path $config -Value $lines -Encoding Ascii
}

function Get-Handshake {
    # What a TLS client sees: the protocol, and the thumbprint of the certificate.
    [CmdletBinding()]
    [OutputType([string])]
    param()
    $client = New-Object -TypeName Net.Sockets.TcpClient -ArgumentList '127.0.0.1', ($Port + 1)
    try {
        $trust = [Net.Security.RemoteCertificateValidationCallback] { $true }
        $stream = New-Object -TypeName Net.Security.SslStream -ArgumentList @($client.GetStream(), $false, $trust)
        $stream.AuthenticateAsClient('localhost', $null, [Security.Authentication.SslProtocols]::Tls12, $false)
        $type = 'Security.Cryptography.X509Certificates.X509Certificate2'
        $certificate = New-Object -TypeName $type -ArgumentList $stream.RemoteCertificate
        return "$($stream.SslProtocol) $($certificate.Thumbprint)"
    }
    finally {
        $client.Dispose()
    }
}

function Get-Secret {
    [CmdletBinding()]
    [OutputType([Security.SecureString])]
    param()
    $secret = New-Object -TypeName Security.SecureString
    $password.ToCharArray() | ForEach-Object -Process { $secret.AppendChar($_) }
    return $secret
}

function New-SelftestCertificate {
    # A certificate with its key in a file, and nowhere else. Returns its thumbprint.
    [CmdletBinding(SupportsShouldProcess)]
    [OutputType([string])]
    param(
        [Parameter(Mandatory)] [datetime] $NotBefore
    )
    if (-not $PSCmdlet.ShouldProcess($pfx, 'Make a certificate')) {
        return
    }
    $wanted = @{
        DnsName           = $certificateName
        CertStoreLocation = 'Cert:\LocalMachine\My'
        KeyExportPolicy   = 'Exportable'
        NotBefore         = $NotBefore
        NotAfter          = (Get-Date).AddDays(60)
    }
    $thumbprint = (New-SelfSignedCertificate @wanted).Thumbprint
    $made = "Cert:\LocalMachine\My\$thumbprint"
    $null = Export-PfxCertificate -Cert $made -FilePath $pfx -Password (Get-Secret) -Force
    Set-Content -Path $passwordFile -Value $password -Encoding Ascii
    Remove-Item -Path $made -DeleteKey
    return $thumbprint
}

function Remove-SelftestCertificate {
    [CmdletBinding(SupportsShouldProcess)]
    param()
    # New-SelfSignedCertificate leaves a copy among the issuers.
    $stores = 'Cert:\LocalMachine\My', 'Cert:\LocalMachine\CA'
    $made = @(Get-ChildItem -Path $stores | Where-Object -FilterScript { $_.Subject -eq "CN=$certificateName" })
    foreach ($certificate in $made) {
        if (-not $PSCmdlet.ShouldProcess($certificate.PSPath, 'Remove a certificate')) {
            continue
        }
        if ($certificate.HasPrivateKey) {
            Remove-Item -Path $certificate.PSPath -DeleteKey
        }
        else {
            Remove-Item -Path $certificate.PSPath
        }
    }
}

function Set-SelftestCertificate {
    # Has the site serve a certificate of the store, or its own one again, and returns what the reload said.
    [CmdletBinding(SupportsShouldProcess)]
    [OutputType([string])]
    param(
        [string] $Pick
    )
    if (-not $PSCmdlet.ShouldProcess($config, 'Change the certificate')) {
        return
    }
    $lines = @(Get-Content -Path $config | Where-Object -FilterScript { $_ -notlike 'certificates:*' })
    if ($Pick) {
        $lines += "certificates: [{ store: 'LocalMachine\My', $Pick }]"
    }
    Set-Content -Path $config -Value $lines -Encoding Ascii
    $reloaded = Invoke-Tidegate -Argument @('--config', $config, 'reload')
    return "reload: code $($reloaded.Code) $($reloaded.Text)"
}

# --- The checks, in the order in which a site lives

function Test-Installation {
    [CmdletBinding()]
    param()
    $since = Get-Date
    Test-Expectation -Area 'check' -Tried 'tidegate check on a new site' -Expected 'exit code 0' -Find {
        $checked = Invoke-Tidegate -Argument @('--config', $config, 'check')
        "code $($checked.Code) $($checked.Text)"
    } -Holds { param($found) $found -like 'code 0 *' }
    Test-Expectation -Area 'services' -Tried 'service install' -Expected 'exit code 0, without warnings' -Find {
        $installed = Invoke-Tidegate -Argument @('--config', $config, 'service', 'install', '--name', $name)
        "code $($installed.Code) $($installed.Text)"
    } -Holds { param($found) $found -like 'code 0 *' -and $found -notlike '*warning:*' }
    Test-Expectation -Area 'doctor' -Tried 'tidegate doctor before the first start' -Expected "apps imported as NT SERVICE\$($services[1]), which has stopped again" -Find {
        $text = (Invoke-Tidegate -Argument @('--config', $config, 'doctor', '--name', $name)).Text
        "$text state: $((Get-Service -Name $services[1]).Status)"
    } -Holds { param($found) $found -match "imported as NT SERVICE\\$($services[1]), the service's account" -and $found -match 'state: Stopped' }
    Test-Expectation -Area 'event log' -Tried 'events of a start that only imports' -Expected 'none' -Find {
        $filter = @{ LogName = 'Application'; ProviderName = $services[1]; StartTime = $since }
        "events: $(@(Get-WinEvent -FilterHashtable $filter -ErrorAction SilentlyContinue).Count)"
    } -Holds { param($found) $found -eq 'events: 0' }
    Test-Expectation -Area 'services' -Tried 'service start' -Expected 'exit code 0' -Find {
        $started = Invoke-Tidegate -Argument @('--config', $config, 'service', 'start', '--name', $name)
        "code $($started.Code) $($started.Text)"
    } -Holds { param($found) $found -like 'code 0 *' }
    foreach ($service in $services) {
        Test-Expectation -Area 'accounts' -Tried "account of $service" -Expected "NT SERVICE\$service" -Find {
            (Get-CimInstance -ClassName Win32_Service -Filter "Name='$service'").StartName
        } -Holds { param($found) $found -eq "NT SERVICE\$service" }
        Test-Expectation -Area 'accounts' -Tried "owner of the process of $service" -Expected "NT SERVICE\$service" -Find {
            $process = Get-CimInstance -ClassName Win32_Process -Filter "ProcessId=$(Get-ServiceProcess -Service $service)"
            $owner = Invoke-CimMethod -InputObject $process -MethodName GetOwner
            "$($owner.Domain)\$($owner.User)"
        } -Holds { param($found) $found -eq "NT SERVICE\$service" }
        Test-Expectation -Area 'services' -Tried "image path of $service" -Expected 'in quotes' -Find {
            (Get-CimInstance -ClassName Win32_Service -Filter "Name='$service'").PathName
        } -Holds { param($found) $found.StartsWith('"') -or $found -notmatch '^[^"]* [^"]*\.exe' }
        Test-Expectation -Area 'services' -Tried "start of $service" -Expected 'with the system' -Find {
            (Get-CimInstance -ClassName Win32_Service -Filter "Name='$service'").StartMode
        } -Holds { param($found) $found -eq 'Auto' }
        Test-Expectation -Area 'recovery' -Tried "sc.exe qfailure $service" -Expected 'three restarts' -Find {
            & sc.exe qfailure $service
        } -Holds { param($found) ([regex]::Matches($found, 'RESTART')).Count -ge 3 }
        Test-Expectation -Area 'recovery' -Tried "sc.exe qfailureflag $service" -Expected 'also after an exit with an error' -Find {
            & sc.exe qfailureflag $service
        } -Holds { param($found) $found -match 'TRUE' }
        Test-Expectation -Area 'services' -Tried "sc.exe qsidtype $service" -Expected 'a security identifier of its own' -Find {
            & sc.exe qsidtype $service
        } -Holds { param($found) $found -match 'UNRESTRICTED' }
        Test-Expectation -Area 'event log' -Tried "event 1 of $service" -Expected 'a text that says it serves' -Find {
            $filter = @{ LogName = 'Application'; ProviderName = $service; Id = 1 }
            (Get-WinEvent -FilterHashtable $filter -MaxEvents 1).Message
        } -Holds { param($found) $found -like '*serves*' }
    }
    $accounts = $services | ForEach-Object -Process { "NT SERVICE\$_" }
    $places = @(
        @{ Path = '.tidegate'; Accounts = $accounts }
        @{ Path = '.tidegate\development.key'; Accounts = @("NT SERVICE\$($services[1])") }
    )
    foreach ($place in $places) {
        $expected = "SYSTEM, Administrators, $($place.Accounts -join ', '); nobody else, nothing inherited"
        Test-Expectation -Area 'rights' -Tried "access list of $($place.Path)" -Expected $expected -Find {
            Get-Stranger -Path (Join-Path -Path $Directory -ChildPath $place.Path) -Account $place.Accounts
        } -Holds { param($found) $found -eq 'as expected' }
    }
}

function Get-Stranger {
    # Who may use a file beside those who should, who may not of them, and who owns it.
    [CmdletBinding()]
    [OutputType([string])]
    param(
        [Parameter(Mandatory)] [string] $Path,
        [Parameter(Mandatory)] [string[]] $Account
    )
    $sid = [Security.Principal.SecurityIdentifier]
    $system = 'S-1-5-18', 'S-1-5-32-544'
    $expected = $system + @($Account | ForEach-Object -Process {
            (New-Object -TypeName Security.Principal.NTAccount -ArgumentList $_).Translate($sid).Value
        })
    $list = Get-Acl -Path $Path
    $found = @($list.GetAccessRules($true, $true, $sid) | ForEach-Object -Process { $_.IdentityReference.Value } | Sort-Object -Unique)
    $differences = @(Compare-Object -ReferenceObject $expected -DifferenceObject $found | ForEach-Object -Process {
            "$($_.InputObject) $(if ($_.SideIndicator -eq '=>') { 'is listed' } else { 'is missing' })"
        })
    $owner = $list.GetOwner($sid).Value
    if ($owner -notin $expected) {
        $differences += "$owner is the owner"
    }
    if (-not $list.AreAccessRulesProtected) {
        $differences += 'it inherits'
    }
    if ($differences) {
        return $differences -join '; '
    }
    return 'as expected'
}

function Test-Service {
    [CmdletBinding()]
    param()
    Test-Expectation -Area 'http' -Tried 'a page of the app' -Expected '200 and the worker''s process id' -Find {
        Send-Request -Path '/'
    } -Holds { param($found) $found -match '^HTTP/1.1 200' -and $found -match 'pid \d+' }
    Test-Expectation -Area 'tls' -Tried 'a TLS handshake with the development certificate' -Expected 'TLS 1.2' -Find {
        Get-Handshake
    } -Holds { param($found) $found -match 'Tls12' }
    Test-Expectation -Area 'doctor' -Tried 'tidegate doctor --json' -Expected 'no problem, apps imported under the service''s account' -Find {
        (Invoke-Tidegate -Argument @('--config', $config, 'doctor', '--json', '--name', $name)).Text
    } -Holds { param($found) $found -match '"problems": 0' -and $found -match "$($services[1])" }
    Test-Expectation -Area 'manifest' -Tried 'the code page in tidegate doctor' -Expected 'UTF-8 (65001)' -Find {
        (Invoke-Tidegate -Argument @('--config', $config, 'doctor', '--json', '--no-import', '--name', $name)).Text
    } -Holds { param($found) $found -match 'UTF-8 \(65001\)' }
    Test-Expectation -Area 'logs' -Tried 'tidegate logs' -Expected 'lines of both programs' -Find {
        (Invoke-Tidegate -Argument @('--config', $config, 'logs', '--since', '1h', '--name', $name)).Text
    } -Holds { param($found) $found -match ' proxy ' -and $found -match ' appserver ' }
    Test-Expectation -Area 'workers' -Tried 'parents of the worker''s process' -Expected 'the app server, perhaps over a redirector' -Find {
        $null = (Send-Request -Path '/') -match 'pid (\d+)'
        $server = Get-ServiceProcess -Service $services[1]
        $at = [int] $Matches[1]
        $chain = @()
        while ($at -ne $server -and $chain.Count -lt 4) {
            $process = Get-CimInstance -ClassName Win32_Process -Filter "ProcessId=$at"
            $chain += "$($process.Name) $at"
            $at = [int] $process.ParentProcessId
        }
        $chain += "server $at"
        $chain -join ' < '
    } -Holds { param($found) $found -match "server $(Get-ServiceProcess -Service $services[1])" }
}

function Test-StaticName {
    [CmdletBinding()]
    param()
    $short = 'STYLE-~1.CSS'
    foreach ($case in @(
            @{ Path = '/static/style-of-the-site.css'; Status = '200'; What = 'a file by its name' },
            @{ Path = '/static/STYLE-OF-THE-SITE.CSS'; Status = '404'; What = 'the same in other case' },
            @{ Path = '/static/style-of-the-site.css::$DATA'; Status = '404'; What = 'its stream' },
            @{ Path = '/static/style-of-the-site.css.'; Status = '404'; What = 'with a dot at the end' },
            @{ Path = '/static/style-of-the-site.css%20'; Status = '404'; What = 'with a space at the end' },
            @{ Path = "/static/$short"; Status = '404'; What = 'its short name, where the volume has such' },
            @{ Path = '/static/way-out/secret.txt'; Status = '404'; What = 'a file through a junction that leads out' },
            @{ Path = '/static/nul'; Status = '404'; What = 'a device' }
        )) {
        Test-Expectation -Area 'names on NTFS' -Tried "$($case.What): $($case.Path)" -Expected "status $($case.Status)" -Find {
            Get-Status -Path $case.Path
        } -Holds { param($found) $found -eq $case.Status }
    }
    Test-Expectation -Area 'names on NTFS' -Tried 'a path of more than 260 characters' -Expected 'status 200' -Find {
        $part = 'a' * 100
        $long = "\\?\$Directory\static\$part\$part\$part"
        $null = [IO.Directory]::CreateDirectory($long)
        [IO.File]::WriteAllText("$long\file.txt", 'far')
        Get-Status -Path "/static/$part/$part/$part/file.txt"
    } -Holds { param($found) $found -eq '200' }
}

function Test-Pipe {
    [CmdletBinding()]
    param()
    $pipe = Get-ControlPipe
    Test-Expectation -Area 'pipes' -Tried 'another first instance of the control pipe' -Expected 'refused' -Find {
        try {
            $rival = New-Object -TypeName IO.Pipes.NamedPipeServerStream -ArgumentList $pipe, 'InOut', -1
            $rival.Dispose()
            'made'
        }
        catch {
            "refused: $($_.Exception.InnerException.Message)"
        }
    } -Holds { param($found) $found -like 'refused*' }
    Test-Expectation -Area 'pipes' -Tried 'the control pipe by the machine''s name, as from another machine' -Expected 'refused' -Find {
        try {
            $client = New-Object -TypeName IO.Pipes.NamedPipeClientStream -ArgumentList $env:COMPUTERNAME, $pipe, 'InOut'
            $client.Connect(3000)
            $client.Dispose()
            'connected'
        }
        catch {
            "refused: $($_.Exception.InnerException.Message)"
        }
    } -Holds { param($found) $found -like 'refused*' }
    $state = Join-Path -Path $Directory -ChildPath '.tidegate'
    $attempts = @(
        @{ What = 'the control pipe'; Code = "(New-Object IO.Pipes.NamedPipeClientStream('.', '$pipe', 'InOut')).Connect(3000)" }
        @{ What = 'reading development.key'; Code = "[IO.File]::ReadAllBytes('$state\development.key')" }
        @{ What = 'a new file in the state directory'; Code = "[IO.File]::WriteAllText('$state\new', '')" }
        @{ What = 'a module beside the app'; Code = "[IO.File]::WriteAllText('$Directory\sqlite3.py', '')" }
    )
    foreach ($attempt in $attempts) {
        $tried = "$($attempt.What), from an ordinary account"
        if (-not $Credential) {
            Skip-Expectation -Area 'rights' -Tried $tried -Reason '-Credential was not given'
            continue
        }
        Test-Expectation -Area 'rights' -Tried $tried -Expected 'refused' -Find {
            Invoke-AsOrdinary -Code $attempt.Code
        } -Holds { param($found) $found -eq 'refused' }
    }
}

function Invoke-AsOrdinary {
    # Runs a line under the account of -Credential, and says whether it was refused.
    [CmdletBinding()]
    [OutputType([string])]
    param(
        [Parameter(Mandatory)] [string] $Code
    )
    $line = "try { `$null = $Code; exit 7 } catch { exit 9 }"
    $start = @{
        FilePath         = 'powershell.exe'
        ArgumentList     = @('-NoProfile', '-EncodedCommand', [Convert]::ToBase64String([Text.Encoding]::Unicode.GetBytes($line)))
        Credential       = $Credential
        WorkingDirectory = $env:SystemRoot
        PassThru         = $true
        Wait             = $true
    }
    switch ((Start-Process @start).ExitCode) {
        7 { return 'done' }
        9 { return 'refused' }
        default { return "ended with code $_" }
    }
}

function Test-Port {
    [CmdletBinding()]
    param()
    Test-Expectation -Area 'tcp' -Tried 'the same port with SO_REUSEADDR' -Expected 'refused (10013 or 10048)' -Find {
        $socket = New-Object -TypeName Net.Sockets.Socket -ArgumentList 'InterNetwork', 'Stream', 'Tcp'
        try {
            $socket.SetSocketOption('Socket', 'ReuseAddress', $true)
            $socket.Bind((New-Object -TypeName Net.IPEndPoint -ArgumentList ([Net.IPAddress]::Loopback), $Port))
            'bound'
        }
        catch {
            "refused: $($_.Exception.InnerException.ErrorCode)"
        }
        finally {
            $socket.Dispose()
        }
    } -Holds { param($found) $found -match 'refused: (10013|10048)' }
    Test-Expectation -Area 'tcp' -Tried '1,000 connections at once' -Expected 'none refused' -Find {
        $clients = New-Object -TypeName 'System.Collections.Generic.List[object]'
        $waits = New-Object -TypeName 'System.Collections.Generic.List[Threading.Tasks.Task]'
        for ($number = 0; $number -lt 1000; $number++) {
            $client = New-Object -TypeName Net.Sockets.TcpClient
            $clients.Add($client)
            $waits.Add($client.ConnectAsync('127.0.0.1', $Port))
        }
        try {
            $null = [Threading.Tasks.Task]::WaitAll($waits.ToArray(), 60000)
        }
        catch [AggregateException] {
            Write-Verbose -Message $_.Exception.Message
        }
        $good = @($waits | Where-Object -FilterScript { $_.Status -eq 'RanToCompletion' }).Count
        $clients | ForEach-Object -Process { $_.Dispose() }
        "$good connected"
    } -Holds { param($found) $found -eq '1000 connected' }
}

function Test-CertificateStore {
    [CmdletBinding()]
    param()
    $account = "NT SERVICE\$($services[0])"
    $first = New-SelftestCertificate -NotBefore (Get-Date).AddHours(-3)
    Test-Expectation -Area 'certificates' -Tried 'certificate import' -Expected "exit code 0, and $account may use the key" -Find {
        $imported = Invoke-Tidegate -Argument @('certificate', 'import', $pfx, '--password-file', $passwordFile, '--name', $name)
        "code $($imported.Code) $($imported.Text)"
    } -Holds { param($found) $found -like 'code 0 *' -and $found -like "*$account may use it now*" }
    Test-Expectation -Area 'certificates' -Tried 'access list of the key''s file' -Expected "names $account" -Find {
        $certificate = Get-Item -Path "Cert:\LocalMachine\My\$first"
        $key = [Security.Cryptography.X509Certificates.RSACertificateExtensions]::GetRSAPrivateKey($certificate).Key
        $list = Get-Acl -Path (Join-Path -Path $env:ProgramData -ChildPath "Microsoft\Crypto\Keys\$($key.UniqueName)")
        $list.Access | ForEach-Object -Process { "$($_.IdentityReference) $($_.FileSystemRights)" }
    } -Holds { param($found) $found -like "*$account*" }
    Test-Expectation -Area 'certificates' -Tried 'taking the key out of the store' -Expected 'refused' -Find {
        try {
            $certificate = "Cert:\LocalMachine\My\$first"
            $null = Export-PfxCertificate -Cert $certificate -FilePath "$pfx.again" -Password (Get-Secret) -ErrorAction Stop
            'exported'
        }
        catch {
            "refused: $($_.Exception.Message)"
        }
    } -Holds { param($found) $found -like 'refused*' }
    Test-Expectation -Area 'certificates' -Tried 'certificate show --thumbprint' -Expected "$account may use the key" -Find {
        (Invoke-Tidegate -Argument @('certificate', 'show', '--thumbprint', $first, '--name', $name)).Text
    } -Holds { param($found) $found -like "*$account may use it*" }
    Test-Expectation -Area 'certificates' -Tried 'a reload with its thumbprint, and a handshake' -Expected "TLS 1.2 with $first" -Find {
        Set-SelftestCertificate -Pick "thumbprint: '$first'"
        Get-Handshake
    } -Holds { param($found) $found -like "*Tls12 $first" }
    Test-Expectation -Area 'certificates' -Tried 'tidegate doctor' -Expected "no problem, $account may use the key" -Find {
        (Invoke-Tidegate -Argument @('--config', $config, 'doctor', '--json', '--name', $name)).Text
    } -Holds { param($found) $found -match '"problems": 0' -and $found -match "private key of $first .* may use it" }

    $null = Set-SelftestCertificate -Pick "subject: '$certificateName'"
    $second = New-SelftestCertificate -NotBefore (Get-Date).AddHours(-2)
    Test-Expectation -Area 'certificates' -Tried 'a newer one, imported meanwhile' -Expected "$second without a reload" -Find {
        $before = Get-Handshake
        $null = Invoke-Tidegate -Argument @('certificate', 'import', $pfx, '--password-file', $passwordFile, '--name', $name)
        $null = Wait-Until -Condition { (Get-Handshake) -ne $before }
        Get-Handshake
    } -Holds { param($found) $found -like "*$second" }

    $third = New-SelftestCertificate -NotBefore (Get-Date).AddHours(-1)
    Test-Expectation -Area 'certificates' -Tried 'a newer one with --no-grant' -Expected "still $second, and a line in the log" -Find {
        $null = Invoke-Tidegate -Argument @('certificate', 'import', $pfx, '--password-file', $passwordFile, '--no-grant')
        $refused = Wait-Until -Condition {
            (Invoke-Tidegate -Argument @('--config', $config, 'logs', '--since', '1h', '--name', $name)).Text -match "$third.*cannot be used"
        }
        "said: $refused, $(Get-Handshake)"
    } -Holds { param($found) $found -like "said: True, *$second" }
    Test-Expectation -Area 'certificates' -Tried 'tidegate doctor then' -Expected 'a problem with a next step' -Find {
        (Invoke-Tidegate -Argument @('--config', $config, 'doctor', '--json', '--name', $name)).Text
    } -Holds { param($found) $found -match "private key of $third .* may not use it" }
    Test-Expectation -Area 'certificates' -Tried 'service install, which grants the key' -Expected "$third within a minute, without a reload" -Find {
        $null = Invoke-Tidegate -Argument @('--config', $config, 'service', 'install', '--name', $name)
        $null = Wait-Until -Seconds 90 -Condition { (Get-Handshake) -like "*$third" }
        Get-Handshake
    } -Holds { param($found) $found -like "*$third" }
    Test-Expectation -Area 'certificates' -Tried 'a reload without any of them' -Expected 'the site''s own certificate' -Find {
        Set-SelftestCertificate
        Get-Handshake
    } -Holds { param($found) $found -like '*Tls12 *' -and $found -notlike "*$third" }
}

function Test-Reload {
    [CmdletBinding()]
    param()
    Test-Expectation -Area 'services' -Tried 'service reload (PARAMCHANGE)' -Expected 'another worker answers' -Find {
        $before = Send-Request -Path '/'
        $null = Invoke-Tidegate -Argument @('service', 'reload', '--name', $name)
        $changed = Wait-Until -Condition {
            ((Send-Request -Path '/') -replace '(?s)^.*pid ', '') -ne ($before -replace '(?s)^.*pid ', '')
        }
        "changed: $changed"
    } -Holds { param($found) $found -eq 'changed: True' }
}

function Test-Crash {
    [CmdletBinding()]
    param()
    foreach ($service in $services) {
        Test-Expectation -Area 'recovery' -Tried "ending the process of $service" -Expected 'another one within a minute' -Find {
            $before = Get-ServiceProcess -Service $service
            $children = @(Get-CimInstance -ClassName Win32_Process -Filter "ParentProcessId=$before" | ForEach-Object -Process { $_.ProcessId })
            Stop-Process -Id $before -Force
            $left = -not (Wait-Until -Seconds 10 -Condition {
                    -not (Get-Process -Id $children -ErrorAction SilentlyContinue)
                })
            $again = Wait-Until -Condition {
                $now = Get-ServiceProcess -Service $service
                $now -ne 0 -and $now -ne $before
            }
            "again: $again, of its children left: $left"
        } -Holds { param($found) $found -eq 'again: True, of its children left: False' }
    }
    Test-Expectation -Area 'recovery' -Tried 'a page after both' -Expected 'status 200' -Find {
        $null = Wait-Until -Condition {
            try { (Get-Status -Path '/') -eq '200' } catch { $false }
        }
        Get-Status -Path '/'
    } -Holds { param($found) $found -eq '200' }
}

function Test-PasswordAccount {
    # An ordinary account of this machine, made for this.
    [CmdletBinding()]
    param()
    $secret = "Aa1-$([Guid]::NewGuid().ToString('N'))"
    $secure = New-Object -TypeName Security.SecureString
    $secret.ToCharArray() | ForEach-Object -Process { $secure.AppendChar($_) }
    $null = New-LocalUser -Name $name -Password $secure -PasswordNeverExpires
    $install = @('--config', $config, 'service', 'install', '--name', $name, '--account', ".\$name", '--password-stdin')
    try {
        $null = & icacls.exe $Directory /grant "${name}:(OI)(CI)RX"
        Test-Expectation -Area 'accounts' -Tried 'service install with a wrong password' -Expected 'an error that says so' -Find {
            $installed = Invoke-Tidegate -Argument $install -Line 'not the password'
            "code $($installed.Code) $($installed.Text)"
        } -Holds { param($found) $found -like 'code 1 *cannot log on*' }
        Test-Expectation -Area 'accounts' -Tried 'service install with the right one' -Expected 'the right to log on as a service, no warning' -Find {
            $installed = Invoke-Tidegate -Argument $install -Line $secret
            "code $($installed.Code) $($installed.Text)"
        } -Holds { param($found) $found -like 'code 0 *may log on as a service from now on*' -and $found -notlike '*warning:*' }
        Test-Expectation -Area 'accounts' -Tried 'service install without account and password, and a restart' -Expected "processes of $name, status 200" -Find {
            $again = Invoke-Tidegate -Argument @('--config', $config, 'service', 'install', '--name', $name)
            $restarted = Invoke-Tidegate -Argument @('--config', $config, 'service', 'restart', '--name', $name)
            $owners = $services | ForEach-Object -Process {
                $process = Get-CimInstance -ClassName Win32_Process -Filter "ProcessId=$(Get-ServiceProcess -Service $_)"
                (Invoke-CimMethod -InputObject $process -MethodName GetOwner).User
            }
            "codes $($again.Code) $($restarted.Code), $($owners -join ' '), status $(Get-Status -Path '/')"
        } -Holds { param($found) $found -eq "codes 0 0, $name $name, status 200" }
    }
    finally {
        $null = Invoke-Tidegate -Argument @('--config', $config, 'service', 'install', '--name', $name, '--account', 'default')
        $null = Invoke-Tidegate -Argument @('--config', $config, 'service', 'restart', '--name', $name)
        Remove-LocalUser -Name $name
    }
}

function Test-Stop {
    [CmdletBinding()]
    param()
    Test-Expectation -Area 'services' -Tried 'service stop while a request runs' -Expected 'the request is answered 200' -Find {
        $job = Start-Job -ScriptBlock {
            param($at)
            (Invoke-WebRequest -Uri "http://127.0.0.1:$at/slow" -UseBasicParsing -TimeoutSec 60).StatusCode
        } -ArgumentList $Port
        # The job's own PowerShell has to start first; the request then takes four seconds.
        $null = Wait-Until -Condition {
            (Invoke-Tidegate -Argument @('--config', $config, 'top', '--json')).Text -match '/slow'
        }
        $null = Invoke-Tidegate -Argument @('--config', $config, 'service', 'stop', '--name', $name)
        $job | Wait-Job -Timeout 60 | Receive-Job
        $job | Remove-Job -Force
    } -Holds { param($found) $found -eq '200' }
    Test-Expectation -Area 'services' -Tried 'what is left after service uninstall' -Expected 'no service, no process' -Find {
        $null = Invoke-Tidegate -Argument @('service', 'uninstall', '--name', $name)
        $left = @(Get-Service -Name $services -ErrorAction SilentlyContinue | ForEach-Object -Process { $_.Name })
        $path = "$Tidegate*"
        $left += @(Get-Process | Where-Object -FilterScript { $_.Path -like $path } | ForEach-Object -Process { $_.Name })
        "left: $($left -join ', ')"
    } -Holds { param($found) $found -eq 'left:' }
}

function Test-Squatter {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)] [string] $Pipe
    )
    # The app server has stopped, so its name is anybody's.
    $tried = 'tidegate status while an ordinary account serves the control pipe'
    if (-not $Credential) {
        Skip-Expectation -Area 'pipes' -Tried $tried -Reason '-Credential was not given'
        return
    }
    Test-Expectation -Area 'pipes' -Tried $tried -Expected 'refused, with the process and its account' -Find {
        $code = "`$s = New-Object IO.Pipes.PipeSecurity; " +
        "`$s.AddAccessRule((New-Object IO.Pipes.PipeAccessRule('Everyone', 'ReadWrite', 'Allow'))); " +
        "`$s.AddAccessRule((New-Object IO.Pipes.PipeAccessRule([Security.Principal.WindowsIdentity]::GetCurrent().User, 'FullControl', 'Allow'))); " +
        "(New-Object IO.Pipes.NamedPipeServerStream('$Pipe', 'InOut', 1, 'Byte', 'Asynchronous', 0, 0, `$s)).WaitForConnection(); " +
        "Start-Sleep -Seconds 10"
        $encoded = [Convert]::ToBase64String([Text.Encoding]::Unicode.GetBytes($code))
        $start = @{
            FilePath         = 'powershell.exe'
            ArgumentList     = @('-NoProfile', '-EncodedCommand', $encoded)
            Credential       = $Credential
            WorkingDirectory = $env:SystemRoot
            PassThru         = $true
        }
        $squatter = Start-Process @start
        $null = Wait-Until -Condition { (Get-ControlPipe) -eq $Pipe }
        $asked = Invoke-Tidegate -Argument @('--config', $config, 'status')
        Stop-Process -Id $squatter.Id -Force -ErrorAction SilentlyContinue
        "code $($asked.Code): $($asked.Text)"
    } -Holds { param($found) $found -like 'code 1:*process * of *expected*' }
}

function Skip-ByHand {
    [CmdletBinding()]
    param()
    foreach ($case in @(
            @{ Area = 'console'; Tried = 'Ctrl-C, Ctrl-Break, closing the console, logging off' },
            @{ Area = 'shutdown'; Tried = 'the drain during a shutdown (PRESHUTDOWN)' },
            @{ Area = 'antivirus'; Tried = 'what scanners, SmartScreen and AppLocker do at the first start' },
            @{ Area = 'accounts'; Tried = 'a group managed service account' },
            @{ Area = 'services'; Tried = 'a restart of the machine: the services start with it, the site serves' },
            @{ Area = 'certificates'; Tried = 'keys of smart cards, TPMs and hardware modules; how long a signature takes there' },
            @{ Area = 'network'; Tried = 'sites on network drives, a flood from another machine' }
        )) {
        Skip-Expectation -Area $case.Area -Tried $case.Tried -Reason 'only by hand'
    }
}

function Write-Report {
    [CmdletBinding()]
    param()
    $system = Get-CimInstance -ClassName Win32_OperatingSystem
    $head = [ordered] @{
        when       = (Get-Date).ToUniversalTime().ToString('yyyy-MM-ddTHH:mm:ssZ')
        windows    = "$($system.Caption) $($system.Version)"
        powershell = "$($PSVersionTable.PSVersion)"
        tidegate   = (Invoke-Tidegate -Argument @('--version')).Text
        python     = "$(& $Python -VV)"
    }
    $lines = @($head.GetEnumerator() | ForEach-Object -Process { '{0,-10} {1}' -f $_.Key, $_.Value })
    $lines += $results | ForEach-Object -Process {
        "`r`n{0,-7} {1}: {2}`r`n        expected: {3}`r`n        found:    {4}" -f $_.outcome, $_.area, $_.tried, $_.expected,
        ($_.found -replace "`r?`n", "`r`n                  ")
    }
    $counted = $results | Group-Object -Property outcome | ForEach-Object -Process { "$($_.Count) $($_.Name)" }
    $lines += "`r`n$($counted -join ', ')"
    Set-Content -Path "$ReportPath.txt" -Value $lines -Encoding UTF8
    $head.results = $results.ToArray()
    Set-Content -Path "$ReportPath.json" -Value (ConvertTo-Json -InputObject $head -Depth 4) -Encoding UTF8
    Write-Information -MessageData "$($counted -join ', '); $ReportPath.txt and .json" -InformationAction Continue
}

if (-not $PSCmdlet.ShouldProcess("$Directory, services $($services -join ' and ')", 'Try Tidegate')) {
    return
}
if (Test-Path -Path $config) {
    throw "$config is there already: name another -Directory, or delete it."
}
New-SelftestSite
try {
    Test-Installation
    Test-Service
    Test-StaticName
    $controlPipe = Get-ControlPipe
    Test-Pipe
    Test-Port
    Test-Reload
    try {
        Test-CertificateStore
    }
    catch {
        $what = @{ Area = 'certificates'; Tried = 'making one'; Expected = 'no error' }
        Add-Result @what -Found $_.Exception.Message -Outcome 'FAIL'
    }
    Test-Crash
    try {
        Test-PasswordAccount
    }
    catch {
        $what = @{ Area = 'accounts'; Tried = 'making one with a password'; Expected = 'no error' }
        Add-Result @what -Found $_.Exception.Message -Outcome 'FAIL'
    }
    Test-Stop
    Test-Squatter -Pipe $controlPipe
    Skip-ByHand
}
finally {
    $null = Invoke-Tidegate -Argument @('service', 'uninstall', '--name', $name)
    Remove-SelftestCertificate
    Write-Report
    if (-not $Keep) {
        # The junction by itself, so that nothing is deleted through it.
        [IO.Directory]::Delete((Join-Path -Path $Directory -ChildPath 'static\way-out'))
        Remove-Item -LiteralPath "\\?\$Directory" -Recurse -Force
    }
}
if (@($results | Where-Object -FilterScript { $_.outcome -eq 'FAIL' }).Count -gt 0) {
    exit 1
}
